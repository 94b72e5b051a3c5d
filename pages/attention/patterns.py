"""The lower part of the Attention page: full patterns, of the chosen head, of its whole layer, of several heads."""

from __future__ import annotations

import streamlit as st

from core.attention_results import Patterns
from core.results import MODELS, head_name
from pages.shared import circuitsvis, definitions, layer_grid, state
from pages.shared.asking import ask
from pages.shared.figures import below, figures
from pages.shared.heads import Place
from pages.shared.widgets import choice

WHOSE = {"base": "BASE", "instruct": "INSTRUCT", "change": "INSTRUCT − BASE"}


def of_head(head: Place) -> None:
    """The chosen head's whole pattern, both models side by side."""
    answer = ask("pattern", layer=head[0], head=head[1])
    st.markdown(f"**Full pattern of {head_name(*head)}**")
    with figures(answer, key="pattern"):
        if answer.result is not None:
            _of_head(answer.result)


def _of_head(found: Patterns) -> None:
    name = head_name(*found.heads[0])
    shown = [
        circuitsvis.pattern_view(f"{model.upper()}, {name}", found.pattern[m, 0], found.tokens, model)
        for m, model in enumerate(MODELS)
    ]
    circuitsvis.show(shown, "pattern", f"attention pattern of {name} in both models", len(found.tokens), columns=2)
    below(
        "patterns",
        f"Rows attend, columns are attended to; hover for a value.{circuitsvis.cut(len(found.tokens))}",
        definitions.PATTERN,
        found.to_frame,
    )


def layer(head: Place) -> None:
    """Every head of the chosen head's layer at a glance."""
    whose = choice(st.segmented_control, "Patterns of", "whose", WHOSE, required=True)
    answer = ask("layer_patterns", layer=head[0])
    with figures(answer, key="layer"):
        if answer.result is not None:
            _layer(answer.result, whose, head)


def _layer(found: Patterns, whose: str, head: Place) -> None:
    layer = found.heads[0][0]
    st.markdown(f"**All heads of layer {layer}, {WHOSE[whose]}**")

    def choose(index: int) -> None:
        state.set_view("head", head_name(*found.heads[index]))

    layer_grid.show(
        _of(found, whose), [head_name(*place) for place in found.heads], found.tokens, "layer_grid", choose,
        chosen=head[1] if head[0] == layer else None,
    )  # fmt: skip
    cut = circuitsvis.cut(len(found.tokens), layer_grid.POSITIONS)
    read = f"Click a map to choose its head; hover for a value.{cut}"
    below("layer_patterns", read, definitions.PATTERN, found.to_frame)


def of_list(listed: list[Place]) -> None:
    """CircuitsVis' small maps of the listed heads, one model or their difference."""
    answer = ask("patterns", heads=tuple(listed[: circuitsvis.HEADS]))
    with figures(answer, key="patterns"):
        if answer.result is not None:
            _of_list(answer.result, len(listed))


def _of_list(found: Patterns, listed: int) -> None:
    names = [head_name(*place) for place in found.heads]
    st.markdown(f"**The chosen heads, {WHOSE[state.view('whose')]}**")
    view = circuitsvis.heads_view("", _of(found, state.view("whose")), names, found.tokens, state.view("whose"))
    circuitsvis.show([view], "heads", "attention patterns of the chosen heads", len(found.tokens))
    most = f" The first {circuitsvis.HEADS} of the list." if listed > circuitsvis.HEADS else ""
    read = f"Hover over a head to see it in full, click to keep it.{most}{circuitsvis.cut(len(found.tokens))}"
    below("chosen_patterns", read, definitions.PATTERN, found.to_frame)


def _of(found: Patterns, whose: str):
    base, instruct = found.pattern
    return {"base": base, "instruct": instruct, "change": instruct - base}[whose]
