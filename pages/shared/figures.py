"""A figure with what belongs to it: whether it is of now, how to read it, its definition one click away, its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cache.limits import Refused
from core.experiment import InputError
from core.results import head_name
from pages.shared import charts, stage, state
from pages.shared.asking import Answer, again, on_screen
from pages.shared.downloads import Table, download
from pages.shared.drawn import Drawn
from pages.shared.text import plain

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoom2d", "pan2d"]}
NOTHING: Mapping[str, object] = {}
_STALE = "<style>.st-key-{key} {{ opacity: 0.45; }}</style>"

# What a click carries (customdata) → the (layer, head) that it chooses.
Heads = Callable[[Sequence[int]], tuple[int, int]]


@contextmanager
def figures(*answers: Answer, key: str) -> Iterator[None]:
    """What is drawn from answers: dimmed while one of them is not of what the page asks now; what failed is told."""
    if any(answer.value is not None and not answer.fresh for answer in answers):
        st.html(_STALE.format(key=f"figures_{key}"))
    around, st.session_state.drawn_from = st.session_state.get("drawn_from", ()), answers
    try:
        with st.container(key=f"figures_{key}"):
            _troubles(answers, key)
            yield
    finally:
        st.session_state.drawn_from = around


def nothing_yet(*answers: Answer) -> None:
    """In the place of a page's figures, before there are any."""
    with figures(*answers, key="first"):
        if all(answer.failure is None for answer in answers):
            st.info("The first figures appear once both models have run.")


def _troubles(answers: Sequence[Answer], key: str) -> None:
    """What failed, where its figure would stand; not what is told beside the input that caused it."""
    asking = st.session_state.asking
    failed = [answer for answer in answers if answer.failure is not None and answer.job not in asking.told]
    failed = [answer for answer in failed if str(answer.failure) not in asking.errors.values()]
    if not failed:
        return
    asking.told |= {answer.job for answer in failed}
    error = failed[0].failure
    if isinstance(error, InputError):
        st.error(plain(str(error)[:1].upper() + str(error)[1:]))
    elif isinstance(error, Refused):
        st.warning(plain(str(error)))
    else:
        st.error(f"The computation failed ({type(error).__name__}); the server's log has it.")
    st.button("Try again", on_click=again, args=(failed,), key=f"again_{key}", icon=":material/refresh:")


def figure(
    fig: go.Figure | Drawn,
    key: str,
    read: str,
    definition: str,
    table: Table,
    heads: str | Heads = "",
    of: Mapping[str, object] = NOTHING,
    chooses: Callable[[Sequence[int]], None] | None = None,
) -> None:
    """Show a figure. heads: what makes a click choose a head everywhere in the app; "head" or "group" where it is on
    (layer, head) or (layer, KV group). chooses: what a click does in place of that, given what it carries. of: see
    `below`. Who cannot see it has its words, and its table below."""
    if heads:
        chooses = partial(_choose_head, heads)
    options: dict[str, Any] = {"selection_mode": "points", "on_select": _clicked(key, chooses)} if chooses else {}
    of_all = fig if isinstance(fig, Drawn) else Drawn(fig)
    sent = of_all.sent(dark(), bool(chooses))
    st.plotly_chart(sent, key=key, config=CONFIG, width="stretch", alt=of_all.alt(), **options)
    below(key, read, definition, table, of, chart=True)


def dark() -> bool:
    """Whether the viewer's page is."""
    return st.context.theme.type == "dark"


def below(
    key: str, read: str, definition: str, table: Table, of: Mapping[str, object] = NOTHING, chart: bool = False
) -> None:
    """The line under a figure: how to read it, definition, its data as a table, downloads. On the stage a figure stands
    alone.

    of: what the figure is of besides the prompt: its site, its layer and head. chart: whether it can be had as SVG.
    """
    if stage.on():
        return
    overview = on_screen()
    if overview and overview.quantization:
        read += f" Weights are quantized to {overview.quantization}."
    answers = st.session_state.get("drawn_from", ())
    lacks = _lacks(table, answers)
    made = download(key, table, answers, of, there=not lacks)
    with st.container(horizontal=True, vertical_alignment="center", key=f"below_{key}"):
        st.caption(read, width="stretch")
        with st.popover("Definition", type="tertiary"):
            st.markdown(definition)
        with st.popover("Table", type="tertiary", key=f"table_of_{key}", on_change="rerun") as rows:
            if rows.open:
                st.dataframe(table() if callable(table) else table, hide_index=True)
        if chart:
            charts.svg_button(key, made.stem, made.labels)
        st.download_button(
            "CSV",
            made.csv,
            file_name=f"{made.stem}.csv",
            mime="text/csv",
            key=f"csv_{key}",
            disabled=bool(lacks),
            help=lacks or None,
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _lacks(table: Table, answers: Sequence[Answer]) -> str:
    """Why a table has nothing to give, as far as that can be told without making it; "" where it may have."""
    asking = st.session_state.asking
    # A job that is waited for and draws nothing anew is asked once somebody wants the table.
    later = any(answer.running and answer.job not in asking.drawn for answer in answers)
    if answers and not later and all(answer.value is None for answer in answers):
        return "Nothing of it has been computed yet"
    return "There is nothing in it" if isinstance(table, pd.DataFrame) and table.empty else ""


def _clicked(key: str, chooses: Callable[[Sequence[int]], None]) -> Callable[[], None]:
    def clicked() -> None:
        points = st.session_state[key].selection.points
        # A second click on the same cell, or new data, empties the selection: the choice stays.
        if points and points[-1].get("customdata"):
            chooses(points[-1]["customdata"])

    return clicked


def _choose_head(heads: str | Heads, carried: Sequence[int]) -> None:
    state.set_view("head", head_name(*_head(carried, heads)))


def _head(carried: Sequence[int], heads: str | Heads) -> tuple[int, int]:
    if callable(heads):
        return heads(carried)
    layer, column = carried[:2]
    overview = on_screen()
    if heads == "group" and overview is not None:
        column *= overview.n_heads // overview.n_groups
    return layer, column
