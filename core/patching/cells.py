"""Where in an activation a patch writes, and what: the index arithmetic beneath `core.patching.growing_pass`.

Layouts are TransformerLens': q, k, v, z (batch, pos, head, d_head); pattern (batch, head, query, key); neurons (batch,
pos, neuron); whole layers (batch, pos, d_model). Writes are in place: the activations of a growing pass belong to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.patching.plan import HEAD_SITES, LAYER_SITES, NEURON, Patch
from core.recording import Recording

HOOKS = {site: f"attn.hook_{site}" for site in ("z", "q", "k", "v", "pattern")}
HOOKS |= {site: f"hook_{site}" for site in LAYER_SITES} | {"w_embed": "hook_resid_pre"}
# What the MLP's last matrix reads: hook_post is called at other places of other families.
HOOKS |= {NEURON: "mlp.out.hook_in"}
_Place = tuple[int, int | None, int | None]  # row, head, position


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one site in one layer that take the same source, one entry per (row, head) or (row, position, head).

    rows, heads, positions: index tensors of one length. heads is None for a whole layer; positions is None for all.
    """

    rows: Tensor
    heads: Tensor | None
    positions: Tensor | None

    @property
    def of_heads(self) -> Tensor:
        """`heads` of a site that has them."""
        assert self.heads is not None, "a whole layer's site has no heads"
        return self.heads


def cells(patches: Iterable[tuple[int, Patch]], positions_kept: int | None, device: torch.device) -> list[Cells]:
    """(row, patch) pairs of one site as at most two groups: those of all positions, those of single ones.

    positions_kept: None, or the END of an activation of which only END is left, now at position 0.
    """
    everywhere: list[_Place] = []
    places: list[_Place] = []
    for row, patch in patches:
        for head in patch.heads or (None,):
            if not patch.positions:
                everywhere.append((row, head, None))
            elif positions_kept is None:
                places += [(row, head, position) for position in patch.positions]
            elif positions_kept in patch.positions:
                places.append((row, head, 0))
    return [_cells(group, device) for group in (everywhere, places) if group]


def _cells(group: list[_Place], device: torch.device) -> Cells:
    rows, heads, positions = zip(*group)
    return Cells(torch.tensor(rows, device=device), _column(heads, device), _column(positions, device))


def _column(numbers: tuple[int | None, ...], device: torch.device) -> Tensor | None:
    return None if numbers[0] is None else torch.tensor(numbers, device=device)


def by_place(rows: Iterable[tuple[int, tuple[Patch, ...]]]) -> dict[tuple[int, str], list[tuple[int, Patch]]]:
    """The patches of activations of numbered rows, gathered by (layer, site); the embedding is one."""
    gathered = defaultdict(list)
    for number, row in rows:
        for patch in row:
            if patch.site in HOOKS or patch.site in HEAD_SITES:
                gathered[patch.layer, patch.site].append((number, patch))
    return gathered


def by_source(patches: list[tuple[int, Patch]]) -> dict[str, list[tuple[int, Patch]]]:
    """The patches of one place, gathered by what they are taken from."""
    gathered = defaultdict(list)
    for number, patch in patches:
        gathered[patch.source].append((number, patch))
    return gathered


def write(x: Tensor, site: str, c: Cells, source: Float[Tensor, "prompt pos ..."]) -> None:
    """Overwrite the cells of `x`, (row, prompt, ...), by each prompt's own source of the site."""
    if site == "pattern":
        if c.positions is None:
            x[c.rows, :, c.heads] = source[:, c.heads].transpose(0, 1)
        else:
            x[c.rows, :, c.heads, c.positions] = source[:, c.heads, c.positions].transpose(0, 1)
    elif site == NEURON:
        # A head of width 1; in place, through a view.
        write(x.unsqueeze(-1), "z", c, source.unsqueeze(-1))
    elif c.heads is None:
        if c.positions is None:
            x[c.rows] = source
        else:
            x[c.rows, :, c.positions] = source[:, c.positions].transpose(0, 1)
    elif c.positions is None:
        x[c.rows, :, :, c.heads] = source[:, :, c.heads].movedim(2, 0)
    else:
        x[c.rows, :, c.positions, c.heads] = source[:, c.positions, c.heads].transpose(0, 1)


def write_heads(x: Float[Tensor, "batch pos head d_head"], c: Cells, values: Tensor | float) -> None:
    """Overwrite the cells by values of shape (cell, pos, d_head), or (cell, d_head) where positions are single."""
    if c.positions is None:
        x[c.rows, :, c.heads] = values
    else:
        x[c.rows, c.positions, c.heads] = values


def read_pattern(pattern: Float[Tensor, "batch head query key"], c: Cells) -> Tensor:
    """The cells' attention: (cell, query, key), or (cell, key) where positions are single."""
    if c.positions is None:
        return pattern[c.rows, c.heads]
    return pattern[c.rows, c.heads, c.positions]


def attend(pattern: Tensor, values: Float[Tensor, "cell key d_head"]) -> Tensor:
    """pattern · values per cell, for all queries or for one."""
    if pattern.ndim == 3:
        return pattern @ values
    return (pattern.unsqueeze(1) @ values).squeeze(1)


def add_results(
    x: Float[Tensor, "batch pos d_model"],
    c: Cells,
    z: Float[Tensor, "pos head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
) -> None:
    """Add each cell's z W_O[head], both the source's, to its row; a row has a head and position at most once."""
    for head in c.of_heads.unique():
        mine = c.heads == head
        result = (z[:, head] @ W_O[head]).to(x)
        if c.positions is None:
            x[c.rows[mine]] += result
        else:
            x[c.rows[mine], c.positions[mine]] += result[c.positions[mine]]


def from_source(source: Recording, layer: int, site: str, like: Tensor) -> Tensor:
    """A recorded activation without its batch axis, on the device and in the dtype of the pass."""
    return source.layer(layer, HOOKS[site]).to(like)
