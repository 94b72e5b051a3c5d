"""What a head's patch does directly and by later layers, and what it is held against: computed where it is opened."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import definitions
from core.charts.controls import control_bars
from core.control_findings import doubt, of_head, of_null
from core.head.control_results import HeadControls
from core.patching.plan import DIRECTIONS
from core.results import head_name
from core.wording import brief
from pages.patching.plan import DIRECTIONS as ARROWS
from pages.patching.plan import Plan
from pages.shared import heads, state
from pages.shared.asking import Answer, ask, follow
from pages.shared.drawn import drawn
from pages.shared.figures import figure, figures
from pages.shared.text import plain
from pages.shared.widgets import show

Controls = tuple[HeadControls, HeadControls]  # INSTRUCT → BASE, BASE → INSTRUCT
TITLE = "Direct, indirect, and controls"


def section(head: heads.Place) -> None:
    """On the page of one head: opened by the address too, and part of it."""
    key = "fold_controls"
    change = lambda: state.set_view("controls", "1" if st.session_state[key] else "")  # noqa: E731
    with st.expander(TITLE, expanded=_wanted(), key=key, on_change=change) as fold:
        if fold.open:
            answer = ask("head_controls", layer=head[0], head=head[1])
            with figures(answer, key="controls"):
                _shown(answer.result, head)


def in_short(overview: Answer, plan: Plan, head: heads.Place) -> None:
    """Beside the map of patches: in its direction, once it is asked for; the head's page then opens with it."""
    change = lambda on: state.set_view("controls", "1" if on else "")  # noqa: E731
    show(st.toggle, TITLE, "input_controls", _wanted(), change)
    if not _wanted():
        return
    answer = follow(overview, "head_controls", layer=head[0], head=head[1])
    with figures(answer, key="controls"):
        if answer.result is None:
            st.caption("They are on their way.")
            return
        found = answer.result[DIRECTIONS.index(plan.direction)]
        if plan.frozen_patterns:
            st.caption("Here all patterns run freely.")
        st.markdown(f":small[{plain(of_head(found))}]", help=definitions.CONTROLS)
        if said := doubt(found):
            st.warning(f":small[{plain(said)}]")
        else:
            st.markdown(f":small[{plain(of_null(found))}]")


def _wanted() -> bool:
    return state.view("controls") == "1"


def _shown(controls: Controls | None, head: heads.Place) -> None:
    if controls is None or (controls[0].layer, controls[0].head) != head:
        st.caption("No control of this head has run yet.")
        return
    doubts = [doubt(found) for found in controls]
    for found, doubted in zip(controls, doubts):
        said = of_head(found) if doubted else f"{of_head(found)} {of_null(found)}"
        st.markdown(plain(f"{ARROWS[found.direction]}: {said}"))
    if any(doubts):
        st.warning(plain(" ".join(filter(None, doubts))))
    names = [ARROWS[found.direction] for found in controls]
    title = f"{head_name(*head)}: what its output patch does, and what it is held against"
    floors = " and ".join(dict.fromkeys(f"±{brief(found.noise_floor)}" for found in controls))
    read = "A total that ends within the grey band does no more than random changes of its size do. "
    read += f"Noise floor: {floors} logits, around 0."
    figure(
        drawn(control_bars, tuple(controls), tuple(names), title),
        "head_controls",
        read,
        definitions.CONTROLS,
        pd.concat([found.to_frame() for found in controls], ignore_index=True),
        of=heads.of(head),
    )
