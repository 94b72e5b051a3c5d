"""What tables and rows of badges have in common on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from core.results import Check, head_name
from core.wording import brief, signed, unsigned
from pages.shared import state
from pages.shared.heads import Place
from pages.shared.text import plain

Form = Callable[[float], str]
FINE: Form = partial(signed, digits=3)
PLAIN: Form = partial(unsigned, digits=3)
COUNT: Form = partial(unsigned, digits=0)


def worded(table: pd.DataFrame, form: Callable[[Any], Form] = lambda name: FINE) -> Styler:
    """The table with its numbers as the app writes them; form: how those of a column are. It sorts by the numbers."""
    return table.style.format({name: form(name) for name in table if table[name].dtype.kind == "f"})


def choosable(
    table: Any, key: str, heads: Sequence[Place], several: bool = False, height: int | Literal["auto"] = "auto"
) -> list[int]:
    """A table of which a selected row chooses its head everywhere in the app; heads: each row's (layer, head).

    several: whether more than one row can be selected; the last one chooses. Returns which rows are selected.
    """
    drawn = f"{key}_rows"

    def choose() -> None:
        # A table that has changed meanwhile may be shorter than the one that was clicked.
        rows = [row for row in st.session_state[key].selection.rows if row < len(heads)]
        if added := [row for row in rows if row not in st.session_state.get(drawn, ())]:
            state.set_view("head", head_name(*heads[added[-1]]))

    mode: Literal["multi-row", "single-row"] = "multi-row" if several else "single-row"
    shown = st.dataframe(
        table, key=key, hide_index=True, on_select=choose, selection_mode=mode, width="stretch", height=height
    )
    st.session_state[drawn] = rows = [row for row in shown.selection.rows if row < len(heads)]
    return rows


def badges(checks: Iterable[Check], key: str, explained: str, *more: str) -> None:
    """Whether all identities hold, open for each with its residual; more: numbers beside them."""
    checks = list(checks)
    failed = sum(not check.holds for check in checks)
    title = f"{failed} of {len(checks)} checks failed" if failed else "All checks passed"
    icon = ":material/close:" if failed else ":material/check:"
    with st.expander(title, icon=icon, key=key):
        with st.container(horizontal=True, vertical_alignment="center"):
            for check in checks:
                text = f"{plain(check.name)}: {brief(check.residual)}"
                if check.holds:
                    st.badge(text, icon=":material/check:", color="green")
                else:
                    st.badge(text, icon=":material/close:", color="red")
            for text in more:
                st.badge(text, color="gray")
        st.caption(explained)
