"""One screen a step: what it is about, the post's numbers beside ours, its figure, and the way on and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from core import definitions
from core.post.numbers import URL
from core.post.rows import Row, every_row, rows_of, to_frame, written
from core.post.words import matched, sentence, tally
from pages.post import drawn
from pages.post.ours import ALL, Ours
from pages.post.texts import ABOUT, CLOSER, TITLES
from pages.shared import stage, state
from pages.shared.figures import below, figures
from pages.shared.finding import finding
from pages.shared.headings import heading
from pages.shared.shortcuts import Shortcut
from pages.shared.text import plain

ORDER = list(TITLES)
MOST = 15  # rows in sight
_ROW = 27  # px
# One screen holds a step.
_CSS = """<style>
.st-key-page { gap: .45rem; }
.st-key-page .st-key-finding { padding-bottom: .7rem; }
.st-key-post_about p { font-size: .94rem; line-height: 1.45; margin: 0; }
</style>"""
# Room for a number with its head and its interval.
_WIDTHS = {"the post": st.column_config.Column(width=95), "here": st.column_config.Column(width=155)}
_WIDTHS["agrees"] = st.column_config.Column("✓", width=32, help="Whether it points the same way as in the post")
_AGREES = {True: "✓", False: "✗", None: ""}


def current() -> str:
    return state.view("step") if state.view("step") in TITLES else ORDER[0]


def bar(step: str) -> None:
    """Which step it is, and the ways on and back."""
    st.html(_CSS)
    with st.container(horizontal=True, vertical_alignment="center", key="post_steps"):
        heading(f"The post, {ORDER.index(step) + 1} of {len(ORDER)}: {TITLES[step]}")
        if stage.on():
            return
        st.space("stretch")
        for by, label, icon, key in (
            (-1, "Back", ":material/arrow_back:", "b"),
            (1, "Next", ":material/arrow_forward:", "n"),
        ):
            st.button(
                label, on_click=go, args=(by,), disabled=ends(by), icon=icon, key=f"post_{label.lower()}",
                help=f"Key: {key.upper()}",
            )  # fmt: skip


def go(by: int) -> None:
    """To a step further on or back, where there is one; for callbacks."""
    if ends(by):
        return
    state.set_view("step", ORDER[ORDER.index(current()) + by])


def ends(by: int) -> bool:
    """Whether there is no step further on, or back."""
    return not 0 <= ORDER.index(current()) + by < len(ORDER)


def turn(by: int) -> None:
    """What a clicker does on the stage: through the steps, then to the page behind them, or before; for callbacks."""
    if ends(by):
        stage.ask_for(by)
    else:
        go(by)


SHORTCUTS = (
    Shortcut("n", "on the page Post: the next step", partial(go, 1)),
    Shortcut("b", "on the page Post: the step before", partial(go, -1)),
)


def show(step: str, found: Ours) -> None:
    """The step itself; on the stage what agrees, and the figure."""
    if stage.on():
        _finding(step, found)
        _main(step, found)
        return
    _finding(step, found)
    left, right = st.columns(2, gap="medium")
    with left:
        with st.container(key="post_about"):
            st.markdown(ABOUT[step])
        if step != ALL:
            _rows(step, rows_of(step, found.here(), found.own), found)
    with right:
        _main(step, found)
        if step != ALL:
            _closer(step)
    _whose(found)


def _main(step: str, found: Ours) -> None:
    if step == ALL:
        _rows(step, every_row(found.here(), found.own), found)
    else:
        drawn.figure_of(step, found)


def _finding(step: str, found: Ours) -> None:
    with figures(*found.answers, key="finding"):
        finding(partial(_said, step, found), definitions.POST)


def _said(step: str, found: Ours) -> str:
    here = found.here()
    return tally(every_row(here, found.own)) if step == ALL else sentence(step, here, found.own)


def _rows(step: str, rows: Sequence[Row], found: Ours) -> None:
    layers = found.plan.overview.n_layers
    texts = [written(row, layers) for row in rows]
    table = pd.DataFrame(
        {
            "": [row.what for row in rows],
            "the post": [text[0] for text in texts],
            "here": [text[1] for text in texts],
            "agrees": [_AGREES[row.agrees] for row in rows],
        }
    )
    with figures(*found.answers, key="rows"):
        height = _ROW * (min(len(rows), MOST) + 1) + 10
        st.dataframe(
            table,
            key=f"post_rows_{step}",
            hide_index=True,
            width="stretch",
            height=height,
            row_height=_ROW,
            column_config=_WIDTHS,
        )
        below(f"rows_{step}", matched(found.own), definitions.POST, partial(to_frame, rows))


def _whose(found: Ours) -> None:
    """Whose the post's numbers are, and that these are other models and another prompt where they are."""
    models = "These are the post's models." if found.own else "These are **not** the post's models"
    if not found.own:
        models += f" (Llama 3.1 8B and its Instruct): {plain(found.plan.overview.pair or 'two models of your own')}."
    prompt = "" if found.own_prompt else " The prompt is not the one that the post prints."
    averages = found.averages
    of = "here it is one prompt"
    if averages is not None:
        of = f"here the rows are means over {averages.n} prompts with their 95% intervals, the figures of the one above"
    over = f"The post's logit differences are averages over prompts; {of}."
    # Captions are too faint for a link.
    st.markdown(f":small[[The post]({URL}), Karthik Viswanathan, 2025. {models}{prompt} {over}]")


def _closer(step: str) -> None:
    folder, name = CLOSER[step]
    page, icon = Path(__file__).parents[1] / folder / "page.py", ":material/arrow_forward:"
    st.page_link(page, label=f"Closer: {name}", icon=icon, query_params=state.address())
