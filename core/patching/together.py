"""Prompts of one length in one growing pass: a chunk's rows run for all of them at once, in place of a pass for each.

The batch of such a pass is (row, prompt): where a row joins, one for every prompt does. Hooks that many passes have are
the batch's own (`core.patching.growth`); the others are each prompt's, given its rows as a view of the batch. Whoever
asks for a chunk of one prompt finds what an earlier one has left. For small models, whose passes are mostly calls of
layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor
from torch import stack as stacked
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from core.passes import Hook
from core.patching.plan import Row
from core.recording import Recording

Ids = tuple[int, ...]
Both = tuple[Recording, Recording]
_Chunk = tuple[TransformerBridge, tuple[Row, ...], tuple[bool, ...]]
_Run = Callable[[Tensor, HookPoint], Tensor | None]


@dataclass(eq=False)
class Together:
    """recordings: a prompt's ids → what (BASE, INSTRUCT) did on it. Equal ids give equal rows.

    found: a recipient's chunk and how it runs → the residual at END of each prompt's rows.
    """

    recordings: Mapping[Ids, Both]
    found: dict[_Chunk, dict[Ids, Tensor]] = field(default_factory=dict)

    def of_rows(
        self, recipient: Recording, rows: list[Row], how: tuple[bool, ...], run: Callable[[list[Both]], list[Tensor]]
    ) -> Tensor:
        """What `run` gives for one prompt; it gets the (recipient, donor) of every one."""
        chunk = (recipient.bridge, tuple(rows), how)
        if chunk not in self.found:
            every = [both if both[0].bridge is recipient.bridge else both[::-1] for both in self.recordings.values()]
            self.found[chunk] = dict(zip(self.recordings, run(every)))
        return self.found[chunk][recipient.ids]


def for_each(every: Sequence[Iterator[Hook]]) -> Iterator[Hook]:
    """Hooks of each prompt, one plan's and so in one order, as hooks of the batch."""
    if len(every) == 1:
        yield from every[0]
        return
    for point, *others in zip(*every, strict=True):
        assert all(name == point[0] for name, _ in others), "one plan, one order of hooks"
        yield point[0], _as_one([point[1], *(run for _, run in others)])


def _as_one(hooks: list[_Run]) -> _Run:
    def run(x: Tensor, hook: HookPoint) -> Tensor | None:
        views = x.unflatten(0, (-1, len(hooks))).unbind(1)
        given = [of_prompt(view, hook) for view, of_prompt in zip(views, hooks)]
        if all(new is view for new, view in zip(given, views)):
            return x
        made = [new for new in given if new is not None]
        assert len(made) in (0, len(hooks)), "one plan, the same of every prompt"
        return stacked(made, 1).flatten(0, 1) if made else None

    return run
