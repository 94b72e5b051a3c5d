"""What to patch: plans, as plain values that know neither torch nor a model.

A plan is a list of rows, and each row becomes one run of the recipient: a set of patches, each of an activation of its
source on the same tokens, or of the source's weights in one component. The order of a row's patches has no meaning.

Sites, by what one patch names:
- query head: `z` (the output patch: A_donor·v_donor, written out by the recipient's W_O), `value_only`
  (A_recipient·v_donor, written into z), `pattern_only` (A_donor·v_recipient, written into z), `result` (the head's
  output through the **donor's** W_O), `q`, `pattern`;
- KV group: `v`, `k`. In a model with grouped queries one patch moves every query head of the group;
- neuron of a layer's MLP: `neuron` (its activation, written out by the recipient's W_out), for recordings that
  `core.neurons.with_neurons` has completed; its numbers stand in `heads`, and there is no sweep of it;
- whole layer: `attn_out`, `mlp_out`, `resid_pre`, `resid_mid`.
A sweep may also be over groups of query heads at once: `joint_z`, `joint_value_only`, `joint_pattern_only`.
Positions are those that are written; for `pattern` and the counterfactuals, the attending (destination) ones.

Weights, each with its bias where it has one, at all positions (`core.patching.weights` says exactly what is computed):
- query head: `w_q`, `w_o`; `w_qk`, `w_ov` and `w_head` (all four), whose keys and values are new for that head alone;
- KV group: `w_k`, `w_v`;
- whole layer: `w_attn`, `w_mlp` with their norms, `w_layer` (both);
- once a model: `w_embed`; `w_final` (last norm and unembedding).

Sources: the donor; the recipient itself, as it is (own), with rounding of its own (`core.patching.floor`), with a
random change of the donor's size (`core.patching.null`) or with one sender's change in the input of its q, k, v
(`core.patching.senders`); and what the recipient's own weights make of the donor's streams (carried).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeVar

from core.experiment import InputError

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

Heads = TypeVar("Heads", "int", "ndarray", "Tensor")

Direction = Literal["instruct_to_base", "base_to_instruct"]
DIRECTIONS: tuple[Direction, Direction] = ("instruct_to_base", "base_to_instruct")

HEAD_SITES = ("z", "value_only", "pattern_only", "result", "q", "pattern")
GROUP_SITES = ("v", "k")
LAYER_SITES = ("attn_out", "mlp_out", "resid_pre", "resid_mid")
JOINT_SITES = {"joint_z": "z", "joint_value_only": "value_only", "joint_pattern_only": "pattern_only"}
NEURON = "neuron"
SITES = (*HEAD_SITES, *GROUP_SITES, *LAYER_SITES, *JOINT_SITES)
HEAD_WEIGHTS = ("w_q", "w_o", "w_qk", "w_ov", "w_head")
GROUP_WEIGHTS = ("w_k", "w_v")
LAYER_WEIGHTS = ("w_attn", "w_mlp", "w_layer")
MODEL_WEIGHTS = ("w_embed", "w_final")
WEIGHT_SITES = (*HEAD_WEIGHTS, *GROUP_WEIGHTS, *LAYER_WEIGHTS, *MODEL_WEIGHTS)
DONOR, OWN, CARRIED, RANDOM = "donor", "own", "carried", "random"
# Of a greedy circuit: every head of a small model; of a large one, few of the others do anything.
CANDIDATES = 256
# The activations that a weight decides: what is jittered in its place, since a weight has no rounding of its own.
_DECIDES: dict[str, tuple[str, ...]]
_DECIDES = {
    "w_q": ("q",),
    "w_k": ("k",),
    "w_v": ("v",),
    "w_o": ("z",),
    "w_qk": ("z",),
    "w_ov": ("z",),
    "w_head": ("z",),
}
_DECIDES |= {"w_attn": ("attn_out",), "w_mlp": ("mlp_out",), "w_layer": ("attn_out", "mlp_out")}
_DECIDES |= {"w_embed": ("resid_pre",), "w_final": ("mlp_out",)}
# Each of these decides what a head's z is, so one head can carry only one of them at a position.
_WRITES_Z = ("z", "value_only", "pattern_only", "result")


@dataclass(frozen=True)
class Shape:
    """The sizes that two models must share to be patched into each other."""

    layers: int
    heads: int
    groups: int
    positions: int
    parallel: bool = False
    neurons: int = 0

    def heads_of(self, group: int) -> range:
        """The query heads that share a KV group."""
        size = self.heads // self.groups
        return range(group * size, (group + 1) * size)

    def group_of(self, head: Heads) -> Heads:
        """The KV group that a query head reads; also of an array or tensor of heads."""
        return head // (self.heads // self.groups)

    def width(self, site: str) -> int:
        """How many columns a sweep of the site has: heads, groups, or 1 for a whole layer or model."""
        return {"head": self.heads, "group": self.groups, "neuron": self.neurons}.get(unit(site), 1)

    def layers_of(self, site: str) -> range:
        """The layers that a sweep of the site has rows in: of what a model has once, the one where it acts."""
        return {"w_embed": range(1), "w_final": range(self.layers - 1, self.layers)}.get(site, range(self.layers))


@dataclass(frozen=True, order=True)
class Patch:
    """One activation to take from a source.

    heads: query heads, KV groups for sites of groups, or neurons; empty for sites of a whole layer or model.
    positions: those to write; empty means all. source: DONOR, OWN, CARRIED, or one that `jitter` or `at_random` names.
    """

    layer: int
    site: str
    heads: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    source: str = DONOR


Row = tuple[Patch, ...]


def jitter(draw: int) -> str:
    """The source that is the recipient's own activation, rounded another way in each draw."""
    return f"jitter {draw}"


def at_random(draw: int) -> str:
    """The source that is the recipient's own activation, moved as far as the donor's in another direction each draw."""
    return f"{RANDOM} {draw}"


def as_activations(row: Row, source: str) -> Row:
    """The same places taken from a source of activations: of weights, the activations that they decide.

    What a row holds at the recipient's own beside what it patches stays as it is.
    """
    patched = [patch for patch in row if patch.source != OWN] or row
    sites = ((patch, site) for patch in patched for site in _DECIDES.get(patch.site, (patch.site,)))
    held = set(row) - set(patched)
    return tuple(sorted(held | {replace(patch, site=site, source=source) for patch, site in sites}))


def unit(site: str) -> Literal["head", "group", "neuron", "layer", "model"]:
    """What one cell of a sweep of the site is."""
    if site in HEAD_SITES or site in HEAD_WEIGHTS:
        return "head"
    if site in GROUP_SITES or site in JOINT_SITES or site in GROUP_WEIGHTS:
        return "group"
    if site in LAYER_SITES or site in LAYER_WEIGHTS:
        return "layer"
    if site in MODEL_WEIGHTS:
        return "model"
    if site == NEURON:
        return "neuron"
    raise InputError(f"the site {site!r} is unknown; choose one of {', '.join((*SITES, *WEIGHT_SITES))}", "site")


def positions_of(positions: str | int, shape: Shape) -> tuple[int, ...]:
    """ "all", "end" or one position, as a patch's positions."""
    if positions == "all":
        return ()
    if positions == "end":
        return (shape.positions - 1,)
    text = str(positions)
    if not text.isdecimal() or int(text) >= shape.positions:
        raise InputError(
            f"the position {text!r} is not in the prompt; choose all, end or 0 to {shape.positions - 1}", "positions"
        )
    return (int(text),)


def cell(site: str, layer: int, column: int, positions: tuple[int, ...], shape: Shape, source: str = DONOR) -> Patch:
    """The patch of one cell of a sweep."""
    if site in JOINT_SITES:
        return Patch(layer, JOINT_SITES[site], tuple(shape.heads_of(column)), positions, source)
    return Patch(layer, site, () if unit(site) in ("layer", "model") else (column,), positions, source)


def sweep_rows(site: str, positions: tuple[int, ...], shape: Shape, source: str = DONOR) -> list[Row]:
    """Every cell of every layer on its own, layer by layer."""
    if site == NEURON:
        raise InputError("neurons are patched within one layer, not swept; choose another site", "site")
    places = [(layer, column) for layer in shape.layers_of(site) for column in range(shape.width(site))]
    return checked([(cell(site, *place, positions, shape, source),) for place in places], shape)


def position_rows(site: str, shape: Shape) -> list[Row]:
    """A whole layer's site at every single position, layer by layer."""
    if site not in LAYER_SITES:
        raise InputError(f"a map over positions needs a layer's site, one of {', '.join(LAYER_SITES)}", "site")
    places = [(layer, position) for layer in range(shape.layers) for position in range(shape.positions)]
    return checked([(Patch(layer, site, (), (position,)),) for layer, position in places], shape)


def set_row(members: Iterable[tuple[int, int]], site: str, positions: tuple[int, ...], shape: Shape) -> Row:
    """One row that patches all (layer, head) members at once; (layer, group) for sites of KV groups."""
    patches = {cell(site, layer, column, positions, shape) for layer, column in members}
    return checked([tuple(sorted(patches))], shape)[0]


def pair_rows(members: list[tuple[int, int]], site: str, positions: tuple[int, ...], shape: Shape) -> list[Row]:
    """The members alone, then every pair of them, in the order of `itertools.combinations`."""
    sets = [(member,) for member in members] + list(combinations(members, 2))
    return [set_row(chosen, site, positions, shape) for chosen in sets]


def checked(rows: Iterable[Row], shape: Shape) -> list[Row]:
    """Rows in canonical order, or an `InputError` that names the patch that cannot be done."""
    canonical = [tuple(sorted(set(row))) for row in rows]
    if () in canonical:
        raise InputError("a set without a member patches nothing; choose at least one head", "heads")
    for patch in {patch for row in canonical for patch in row}:
        _check_patch(patch, shape)
    for row in canonical:
        if len(row) > 1:
            _check_one_z_per_head(row, shape)
            _check_weights_alone(row)
    return canonical


def _check_patch(patch: Patch, shape: Shape) -> None:
    if patch.site in JOINT_SITES:
        single = JOINT_SITES[patch.site]
        raise InputError(f"{patch.site} names a sweep; a patch takes {single} and several heads", "site")
    kind = unit(patch.site)
    if patch.site == "resid_mid" and shape.parallel:
        raise InputError("this model's attention and MLP run in parallel; it has no resid_mid", "site")
    if patch.layer not in (layers := shape.layers_of(patch.site)):
        choose = f"{layers[0]} to {layers[-1]}" if len(layers) > 1 else str(layers[0])
        raise InputError(f"{patch.site} has no layer {patch.layer}; choose {choose}", "heads")
    if (kind in ("layer", "model")) != (not patch.heads):
        raise InputError(f"a patch of {patch.site} takes {'at least one' if not patch.heads else 'no'} head", "heads")
    if patch.site in WEIGHT_SITES and patch.positions:
        raise InputError(f"{patch.site} is a weight, which acts at all positions; choose all", "positions")
    if patch.site in WEIGHT_SITES and patch.source not in (DONOR, OWN):
        raise InputError(f"{patch.site} is a weight, which only the donor has beside the recipient", "site")
    bad = next((h for h in patch.heads if not 0 <= h < shape.width(patch.site)), None)
    if bad is not None:
        name = {"group": "KV group", "neuron": "neuron"}.get(kind, "head")
        raise InputError(f"there is no {name} {bad}; choose 0 to {shape.width(patch.site) - 1}", "heads")
    bad = next((p for p in patch.positions if not 0 <= p < shape.positions), None)
    if bad is not None:
        raise InputError(f"there is no position {bad}; choose 0 to {shape.positions - 1}", "positions")


def _check_one_z_per_head(row: Row, shape: Shape) -> None:
    written: dict[tuple[int, int, int], str] = {}
    everywhere = range(shape.positions)
    for patch in row:
        if patch.site not in _WRITES_Z:
            continue
        for head in patch.heads:
            for position in patch.positions or everywhere:
                other = written.setdefault((patch.layer, head, position), patch.site)
                if other != patch.site:
                    raise InputError(
                        f"L{patch.layer}H{head} cannot take {other} and {patch.site} at once; choose one", "heads"
                    )


def _check_weights_alone(row: Row) -> None:
    """Within a layer an activation would stand for what the weights beside it compute, or be undone by them."""
    weights = {
        patch.layer: patch.site for patch in row if patch.site in WEIGHT_SITES and patch.site not in MODEL_WEIGHTS
    }
    for patch in row:
        if patch.site not in WEIGHT_SITES and patch.layer in weights:
            raise InputError(
                f"layer {patch.layer} cannot take {patch.site} and {weights[patch.layer]} at once; choose one", "heads"
            )
