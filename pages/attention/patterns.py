"""The viewer of full patterns: of the chosen head, of its whole layer, or of the listed heads."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from core import definitions
from core.attention_results import Patterns
from core.results import MODELS, head_name
from pages.shared import circuitsvis, heads, layer_grid, state
from pages.shared.asking import ask
from pages.shared.figures import NOTHING, below, figures
from pages.shared.headings import part
from pages.shared.heads import Place
from pages.shared.widgets import choice

WHOSE = {"base": "BASE", "instruct": "INSTRUCT", "change": "INSTRUCT − BASE"}


def viewer(head: Place, listed: list[Place]) -> None:
    """The one viewer of patterns; only what it shows is computed."""
    part("Full patterns")
    shown = {"head": head_name(*head), "layer": f"every head of layer {head[0]}", "listed": "the listed heads"}
    with st.container(horizontal=True, vertical_alignment="bottom", key="pattern_controls"):
        which = choice(st.segmented_control, "Patterns of", "patterns", shown, required=True)
        if which != "head":
            choice(st.segmented_control, "Model", "whose", WHOSE, required=True)
    if which == "head":
        answer = ask("pattern", layer=head[0], head=head[1])
    elif which == "layer":
        answer = ask("layer_patterns", layer=head[0])
    else:
        answer = ask("patterns", heads=tuple(listed))
    with figures(answer, key="pattern"):
        if answer.result is not None:
            _head(answer.result) if which == "head" else _grid(answer.result, which, head)


def _head(found: Patterns) -> None:
    """Both models side by side."""
    name = head_name(*found.heads[0])
    shown = [
        circuitsvis.pattern_view(f"{model.upper()}, {name}", found.pattern[m, 0], found.tokens, model)
        for m, model in enumerate(MODELS)
    ]
    circuitsvis.show(shown, "pattern", f"attention pattern of {name} in both models", len(found.tokens), columns=2)
    _below("Rows attend, columns are attended to; hover for a value.", found, circuitsvis.POSITIONS)


def _grid(found: Patterns, key: str, head: Place) -> None:
    """Small maps of several heads, of one model or their difference."""
    chosen = found.heads.index(head) if head in found.heads else None
    names = [head_name(*place) for place in found.heads]
    layer_grid.show(_of(found), names, found.tokens, f"{key}_grid", partial(_choose, names), chosen=chosen)
    _below("Click a map to choose its head; hover for a value.", found, layer_grid.POSITIONS)


def _choose(names: list[str], index: int) -> None:
    state.set_view("head", names[index])


def _below(read: str, found: Patterns, most: int) -> None:
    read += circuitsvis.cut(len(found.tokens), most)
    of = heads.of(found.heads[0]) if len(found.heads) == 1 else NOTHING
    below("patterns", read, definitions.PATTERN, found.to_frame, of)


def _of(found: Patterns) -> np.ndarray:
    base, instruct = found.pattern
    return {"base": base, "instruct": instruct, "change": instruct - base}[state.view("whose")]
