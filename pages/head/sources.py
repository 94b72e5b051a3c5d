"""The token that the page of one head is asked about: one with a role, or one that the head looks at most."""

from __future__ import annotations

import streamlit as st

from core.attention_results import Attention, most_attended
from core.results import MODELS
from pages.shared import stage, state
from pages.shared.heads import Place
from pages.shared.text import quoted
from pages.shared.widgets import show

_BEFORE, _AFTER = ("original", "colon", "picked"), ("first", "end")
_LABELS = {"original": "original", "colon": "colon", "picked": "the picked token", "end": "END"}
_LABELS |= {"most_base": "most in BASE", "most_instruct": "most in INSTRUCT"}


def source(attention: Attention, head: Place) -> str:
    """The source token: a role, or where it has none its position in digits."""
    places = _places(attention, head)
    offered = {position: name for name, position in reversed(places.items())}
    names = {offered[position]: position for position in dict.fromkeys(places.values())}
    position = places.get(state.view("source"), next(iter(places.values())))
    chosen = offered[position] if offered[position] in attention.roles else str(position)
    if stage.on():
        return chosen
    labels = {name: f"{_label(name, attention, places)}: {quoted(attention.tokens[at])}" for name, at in names.items()}
    change = lambda name: state.set_view("source", name)  # noqa: E731
    show(
        st.segmented_control, "Source token", "input_source", offered[position], change,
        options=list(labels), format_func=labels.get, required=True,
    )  # fmt: skip
    return chosen


def _places(attention: Attention, head: Place) -> dict[str, int]:
    """name → position, the most telling first; several names may have one position, which is offered by the first."""
    layer, h = head
    places = {name: attention.roles[name] for name in _BEFORE if name in attention.roles}
    places |= {f"most_{model}": most_attended(attention.weight[m, layer, h]) for m, model in enumerate(MODELS)}
    places |= {name: attention.roles[name] for name in _AFTER if name in attention.roles}
    # In older links the first token, where it is one.
    return places | {"bos": 0}


def _label(name: str, attention: Attention, places: dict[str, int]) -> str:
    if name == "first":
        return "BOS" if "bos" in attention.roles else "first"
    if name in ("most_base", "most_instruct") and places["most_base"] == places["most_instruct"]:
        return "looks at most"
    return _LABELS[name]
