"""Which set of prompts the page is about: one of the shipped ones, a file or a table of one's own, or one that is built
from the sentence on screen.

A set is the text of its CSV file, whoever has written it: what the page asks about, what can be downloaded, and what a
worker reads are one. A set of one's own lives in its tab, so a link to it shows the shipped one elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.overview import Overview
from core.experiment import InputError
from core.models.pairs import EMBEDDED
from core.sets import definitions
from core.sets.building import build
from core.sets.reading import COLUMNS, MAX_BYTES, MAX_ROWS, OPTIONAL, as_text, read_set, sampled, shipped_file
from core.wording import word
from pages.shared import state
from pages.shared.text import plain
from pages.shared.widgets import choice

SHIPPED, OWN, BUILT = "shipped", "own", "built"
TITLES = {SHIPPED: "Shipped", BUILT: "Built from the sentence", OWN: "Your own"}
EVERY, SOME = "all", ("12", "24", "72")
_read = lru_cache(maxsize=16)(lambda text: read_set(text.encode()))
_sampled = lru_cache(maxsize=16)(sampled)


@dataclass(frozen=True)
class Chosen:
    """text: the rows that are asked about, as a CSV file; name: of the set; whole: how many good rows it has."""

    text: str
    name: str
    whole: int


def controls(overview: Overview) -> tuple[Chosen | None, DeltaGenerator]:
    """The set, and how many of its prompts; None where there is no row to run, which has been said then. Beside it the
    place of what has run of it."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="set_controls"):
        which = choice(st.segmented_control, "Prompt set", "set", TITLES, required=True)
        count = _count(overview)
        with st.popover("Upload or edit", key="own_set", on_change="rerun") as own:
            if own.open:
                _upload()
                _table(overview, which)
        beside = st.container(width="stretch")
    if which == OWN and "own_set_text" not in st.session_state:
        st.info("Upload a file or edit the table; until then the shipped set is shown.")
    return chosen(overview, which, count), beside


def viewed(overview: Overview) -> Chosen | None:
    """What the view says, without controls."""
    return chosen(overview, state.view("set"), state.view("sample") or _usual(overview))


def chosen(overview: Overview, which: str, count: str) -> Chosen | None:
    try:
        text, name = _text(overview, which)
        found = _read(text)
    except InputError as error:
        st.warning(plain(str(error)[:1].upper() + str(error)[1:] + "."))
        return None
    if count != EVERY:
        text = _sampled(text, int(count))
    return Chosen(text, name, len(found.entries))


def _text(overview: Overview, which: str) -> tuple[str, str]:
    own = st.session_state.get("own_set_text")
    if which == OWN and own:
        return own
    if which == BUILT:
        return as_text(build(state.experiment(), word(overview.prompt.answer, 100))), "built from the sentence"
    path = shipped_file(overview.pair)
    return _file(str(path)), path.name


@lru_cache(maxsize=4)
def _file(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _usual(overview: Overview) -> str:
    """Of a pair that is no toy a whole set takes minutes."""
    return EVERY if overview.pair == EMBEDDED else SOME[1]


def _count(overview: Overview) -> str:
    usual = _usual(overview)
    listed = {name: "all" if name == EVERY else f"{name} of them" for name in (usual, *SOME, EVERY)}
    return choice(st.selectbox, "Prompts", "sample", listed, width=130, help=definitions.SAMPLE)


# What Streamlit refuses itself, as a file that is too large, it says in a tooltip, and in a text that is only heard.
_REFUSED = """<style>
.st-key-set_file [data-testid=stFileChip] { flex-wrap: wrap; height: auto; max-width: 100%; }
.st-key-set_file [data-testid=stFileChip] [role=alert] { position: static !important; width: 100% !important;
  height: auto !important; margin: 0 !important; clip: auto !important; clip-path: none !important;
  overflow: visible !important; white-space: normal !important; }
</style>"""


def _upload() -> None:
    st.markdown("**A CSV file** of your own")
    st.caption(
        f"Columns {', '.join(COLUMNS)} and, if wanted, {', '.join(OPTIONAL)}; accepted answers parted by “;”. UTF-8, "
        f"at most {MAX_ROWS:,} rows and {MAX_BYTES // 10**6} MB."
    )
    st.html(_REFUSED)
    st.file_uploader("CSV file", type="csv", key="set_file", on_change=_uploaded, label_visibility="collapsed")
    if trouble := st.session_state.get("own_set_trouble"):
        st.error(plain(trouble))


def _uploaded() -> None:
    if (file := st.session_state.set_file) is not None:
        take(file.getvalue(), file.name)


def take(data: bytes, name: str) -> None:
    """Make a file the set of this tab, or say why it cannot be; for callbacks."""
    try:
        read_set(data)
    except InputError as error:
        st.session_state.own_set_trouble = f"{name}: {error}."
        return
    _take(data.decode("utf-8-sig"), name)


def _take(text: str, name: str) -> None:
    st.session_state.own_set_trouble = ""
    st.session_state.own_set_text = text, name
    state.set_view("set", OWN)


def _table(overview: Overview, which: str) -> None:
    """The rows of the set on screen to be edited; what is typed becomes a set of one's own when it is taken."""
    try:
        text = _text(overview, which)[0]
    except InputError:
        text = as_text([])
    with st.form("set_table", border=False):
        st.markdown("**A table**: change the rows of the set on screen, add some, delete some")
        edited = st.data_editor(table_of(text), key="set_rows", num_rows="dynamic", hide_index=True, height=220)
        if st.form_submit_button("Use this table"):
            use(edited)


def use(table: pd.DataFrame) -> None:
    """Make a table the set of this tab, or say why it cannot be."""
    rows = [{str(name): str(cell) for name, cell in row.items()} for row in table.fillna("").to_dict("records")]
    take(as_text(row for row in rows if any(row.values())).encode(), "the table")
    st.rerun()


def table_of(text: str) -> pd.DataFrame:
    """The good rows of a set by column: the others are listed on the page with their reasons."""
    try:
        entries = _read(text).entries
    except InputError:
        entries = ()
    rows = [
        {
            "instruction": entry.instruction,
            "sentence": entry.sentence,
            "original": entry.original,
            "answers": ";".join(entry.answers),
            "structure": entry.structure,
            "template": entry.template,
            "id": "" if entry.id.startswith("line ") else entry.id,
        }
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, *OPTIONAL], dtype=str)
