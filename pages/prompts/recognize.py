"""RECOGNIZE: what the instruction does in both models, and which heads carry it beside those that carry the word."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.charts.origin import origin_scatter
from core.charts.sets import interval_bars
from core.recognize.results import NONE, OWN, SCRAMBLED, TASKS, Instructed, Recognized
from core.results import head_name
from core.set_findings import of_heads, of_instructions
from core.sets import definitions
from core.sets.results import with_interval
from pages.prompts.choosing import Chosen
from pages.shared import state
from pages.shared.asking import Answer, follow
from pages.shared.figures import figure, figures
from pages.shared.text import plain
from pages.shared.widgets import choice

KINDS = {
    OWN: "its own instruction",
    "repeat": "repeat",
    "opposite": "opposite",
    "remove": "remove",
    SCRAMBLED: "its words scrambled",
    NONE: "no instruction",
}
VIEWS = {"instructions": "Other instructions", "heads": "Heads that carry it"}


def recognize(overview: Answer, chosen: Chosen) -> list[Answer]:
    """One of the two halves: each is computed once it is looked at."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="recognize_controls"):
        view = choice(st.segmented_control, "What recognizes the instruction?", "recognize", VIEWS, required=True)
        if view == "heads":
            task = choice(st.segmented_control, "Counter-instruction", "counter", {t: t for t in TASKS}, required=True)
    if view == "instructions":
        answer = follow(overview, "instructions", rows=chosen.text)
        draw: Callable[[Answer], None] = partial(_instructions, chosen)
    else:
        answer = follow(overview, "recognized", rows=chosen.text, task=task)
        draw = partial(_heads, chosen)
    with figures(answer, key="recognize"):
        if answer.value is not None:
            draw(answer)
        elif answer.failure is None:
            st.info("The first numbers appear in a moment.")
    return [answer]


def _of(chosen: Chosen) -> dict[str, object]:
    return {"set": chosen.name}


def _instructions(chosen: Chosen, answer: Answer) -> None:
    found: Instructed = answer.value
    st.markdown(plain(of_instructions(found)))
    left, right = st.columns(2, gap="medium")
    with left:
        rows = {_titled(kind, found): mean for kind, mean in found.logit_diff.items()}
        fig = interval_bars(rows, "The same sentences under several instructions")
        read = "Above 0 the model prefers the replacement; lines are 95% intervals."
        figure(fig, "instructions", read, definitions.RECOGNIZE, found.to_frame, of=_of(chosen))
    with right:
        contrasts = {f"own − {KINDS[kind]}": mean for kind, mean in found.contrast.items()}
        names = ("BASE", "INSTRUCT", "difference in differences")
        fig = interval_bars(contrasts, "What the own instruction adds", models=names)
        read = "A model that recognizes the instruction lies above 0; the third bar is INSTRUCT's less BASE's."
        figure(fig, "contrasts", read, definitions.RECOGNIZE, found.to_frame, of=_of(chosen))
    for (kind, reason), count in found.left_out.items():
        st.caption(plain(f"{KINDS[kind]}: {count} of {found.usable} prompts left out, {reason}."))


def _titled(kind: str, found: Instructed) -> str:
    text = found.wordings.get(kind, "")
    return KINDS[kind] if kind in (OWN, NONE) or not text else f"{KINDS[kind]}: “{text}”"


def _heads(chosen: Chosen, answer: Answer) -> None:
    found: Recognized = answer.value
    if found.ran:
        st.markdown(plain(of_heads(found)))
        columns = st.columns(2, gap="medium")
        for place, model in zip(columns, (1, 0)):
            with place:
                _scatter(chosen, found, model)
    _counters(found)


def _scatter(chosen: Chosen, found: Recognized, model: int) -> None:
    """Right: carries the instruction within this model. Up: carries the replacement between the models."""
    name = ("BASE", "INSTRUCT")[model]
    shares = np.isfinite(found.ratio.value[model]).all() and np.isfinite(found.replacement_ratio.value).all()
    x, y = (
        (found.ratio.value[model], found.replacement_ratio.value)
        if shares
        else (found.effect.mean[model], found.replacement.mean)
    )
    unit = "share of gap" if shares else "logits"
    layers, count = x.shape
    names = [head_name(layer, h) for layer in range(layers) for h in range(count)]
    pale = found.effect.spans_zero[model] & found.replacement.spans_zero
    axes = (f"instruction within {name}, {unit}", f"replacement, {unit}")
    picked = state.chosen_head(layers, count)
    title = f"Instruction against replacement, {name}"
    fig = origin_scatter(x, y, names, title, axes, bool(shares), pale, picked)
    gap = with_interval(found.gap, model)
    read = f"{found.ran} prompts; the own instruction against “{found.task}”: {gap} logits in {name}."
    figure(fig, f"recognize_{name.lower()}", read, definitions.COUNTER, found.to_frame, heads="head", of=_of(chosen))


def _counters(found: Recognized) -> None:
    """Which instruction stands against which, and why where there is none."""
    rows = [(own, counter, "") for own, counter in found.counters.items()]
    rows += [(own, "none", reason) for own, reason in found.without.items()]
    said = f"{len(found.counters)} of {len(rows)} instructions have a counter-instruction of the same length"
    with st.expander(plain(said), icon=":material/compare_arrows:", expanded=not found.counters):
        table = pd.DataFrame(rows, columns=["instruction", "counter-instruction", "why none"])
        st.dataframe(table, hide_index=True, key="counters")
