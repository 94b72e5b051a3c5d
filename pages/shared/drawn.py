"""Figures that are built once for everybody: of one result, with the same options, every viewer gets the same one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any

import plotly.graph_objects as go

from core.charts.in_words import in_words
from core.charts.theme import on_page
from pages.shared.chart_keys import reachable

MOST = 64  # figures that are kept, those used last


class Sent(go.Figure):  # type: ignore[misc]
    """A figure as the plain dictionary that a browser gets: it is neither checked nor copied once more."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.__dict__["_ready"] = ready

    def to_dict(self) -> dict[str, Any]:
        return self.__dict__["_ready"]


class Drawn:
    """A figure, and what is made of it for a browser; who holds it changes nothing in it."""

    def __init__(self, fig: go.Figure) -> None:
        self._fig = fig
        self._lock = RLock()
        self._sent: dict[tuple[bool, bool], Sent] = {}
        self._alt = ""

    def alt(self) -> str:
        """The figure in words."""
        with self._lock:
            self._alt = self._alt or in_words(self._fig)
            return self._alt

    def sent(self, dark: bool, keys: bool) -> Sent:
        """On a dark page or a light one; keys: whether its cells can be reached by keyboard."""
        with self._lock:
            if (dark, keys) not in self._sent:
                fig = reachable(self._fig, self.alt().partition(".")[0]) if keys else self._fig
                self._sent[dark, keys] = Sent(on_page(fig, dark).to_dict())
            return self._sent[dark, keys]

    def shaped(self, shapes: Sequence[Mapping[str, Any]]) -> Drawn:
        """The same with these shapes on it, such as a frame around what is chosen: nothing else is made for it."""
        return _Shaped(self, shapes)


class _Shaped(Drawn):
    def __init__(self, of: Drawn, shapes: Sequence[Mapping[str, Any]]) -> None:
        self._of, self._shapes = of, list(shapes)

    def alt(self) -> str:
        return self._of.alt()

    def sent(self, dark: bool, keys: bool) -> Sent:
        fig = self._of.sent(dark, keys).to_dict()
        return Sent({**fig, "layout": {**fig["layout"], "shapes": self._shapes}})


_kept: OrderedDict[tuple[Any, ...], tuple[tuple[object, ...], Drawn]] = OrderedDict()
_lock = RLock()


def drawn(build: Callable[..., go.Figure], *inputs: object) -> Drawn:
    """The figure `build(*inputs)`: kept by what the function is, and by its inputs: results by identity, plain values
    by value. Whoever asks for one that is being built waits for it."""
    assert build.__qualname__.isidentifier(), "two functions within others may have one name"
    named = (build.__module__, build.__qualname__, *map(_name, inputs))
    with _lock:
        found = _kept.get(named)
        if found is None:
            # What is named by its identity must live as long as its name.
            found = _kept[named] = inputs, Drawn(build(*inputs))
        _kept.move_to_end(named)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
        return found[1]


def _name(value: object) -> object:
    if value is None or isinstance(value, (str, int, float, bool)):
        return type(value), value
    if isinstance(value, tuple):
        return tuple(map(_name, value))
    return type(value), id(value)
