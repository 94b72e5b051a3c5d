"""What to patch: plans, as plain values that know neither torch nor a model.

A plan is a list of rows, and each row becomes one run of the recipient: a set of patches, each of an activation of its
source on the same tokens: the donor, or the recipient itself with rounding of its own (`core.patching.floor`). The
order of a row's patches has no meaning.

Sites, by what one patch names:
- query head: `z` (the output patch: A_donor·v_donor, written out by the recipient's W_O), `value_only`
  (A_recipient·v_donor, written into z), `pattern_only` (A_donor·v_recipient, written into z), `result` (the head's
  output through the **donor's** W_O), `q`, `pattern`;
- KV group: `v`, `k`. In a model with grouped queries one patch moves every query head of the group;
- whole layer: `attn_out`, `mlp_out`, `resid_pre`, `resid_mid`.
A sweep may also be over groups of query heads at once: `joint_z`, `joint_value_only`, `joint_pattern_only`.
Positions are those that are written; for `pattern` and the counterfactuals, the attending (destination) ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
SITES = (*HEAD_SITES, *GROUP_SITES, *LAYER_SITES, *JOINT_SITES)
DONOR = "donor"
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

    def heads_of(self, group: int) -> range:
        """The query heads that share a KV group."""
        size = self.heads // self.groups
        return range(group * size, (group + 1) * size)

    def group_of(self, head: Heads) -> Heads:
        """The KV group that a query head reads; also of an array or tensor of heads."""
        return head // (self.heads // self.groups)

    def width(self, site: str) -> int:
        """How many columns a sweep of the site has: heads, groups, or 1 for a whole layer."""
        return {"head": self.heads, "group": self.groups, "layer": 1}[unit(site)]


@dataclass(frozen=True, order=True)
class Patch:
    """One activation to take from a source.

    heads: query heads, or KV groups for `v` and `k`; empty for a whole layer's site.
    positions: those to write; empty means all. source: DONOR, or one that `jitter` names.
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


def unit(site: str) -> Literal["head", "group", "layer"]:
    """What one cell of a sweep of the site is."""
    if site in HEAD_SITES:
        return "head"
    if site in GROUP_SITES or site in JOINT_SITES:
        return "group"
    if site in LAYER_SITES:
        return "layer"
    raise InputError(f"the site {site!r} is unknown; choose one of {', '.join(SITES)}", "site")


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


def cell(site: str, layer: int, column: int, positions: tuple[int, ...], shape: Shape) -> Patch:
    """The patch of one cell of a sweep."""
    if site in JOINT_SITES:
        return Patch(layer, JOINT_SITES[site], tuple(shape.heads_of(column)), positions)
    return Patch(layer, site, () if unit(site) == "layer" else (column,), positions)


def sweep_rows(site: str, positions: tuple[int, ...], shape: Shape) -> list[Row]:
    """Every cell of every layer on its own, layer by layer."""
    columns = range(shape.width(site))
    rows = [(cell(site, layer, c, positions, shape),) for layer in range(shape.layers) for c in columns]
    return checked(rows, shape)


def position_rows(site: str, shape: Shape) -> list[Row]:
    """A whole layer's site at every single position, layer by layer."""
    if unit(site) != "layer":
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
    return canonical


def _check_patch(patch: Patch, shape: Shape) -> None:
    if patch.site in JOINT_SITES:
        single = JOINT_SITES[patch.site]
        raise InputError(f"{patch.site} names a sweep; a patch takes {single} and several heads", "site")
    kind = unit(patch.site)
    if patch.site == "resid_mid" and shape.parallel:
        raise InputError("this model's attention and MLP run in parallel; it has no resid_mid", "site")
    if not 0 <= patch.layer < shape.layers:
        raise InputError(f"there is no layer {patch.layer}; choose 0 to {shape.layers - 1}", "heads")
    if (kind == "layer") != (not patch.heads):
        raise InputError(f"a patch of {patch.site} takes {'no' if kind == 'layer' else 'at least one'} head", "heads")
    bad = next((h for h in patch.heads if not 0 <= h < shape.width(patch.site)), None)
    if bad is not None:
        name = "KV group" if kind == "group" else "head"
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
