"""What this tab looks at: the experiment and the view, in the session and in the address.

The session holds one `Experiment`; widgets show it and change it in their callbacks. After each run the address spells
it, so that a copied link shows the same; an address that changes from outside (a link, the back button) is read again.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

import streamlit as st

from core.experiment import Experiment, from_query, shorten, to_query
from core.patching.plan import GROUP_SITES, HEAD_SITES, LAYER_SITES

# What a link says about the view rather than the numbers' question: name → (default, pattern).
VIEW = {
    "head": ("", r"L\d{1,3}H\d{1,3}"),
    "listed": ("", r"L\d{1,3}H\d{1,3}(,L\d{1,3}H\d{1,3}){0,15}"),
    "measure": ("weight", r"weight|value_weighted|written"),
    "source": ("original", r"original|colon|picked|first|bos|end"),
    "ov": ("recorded", r"recorded|embedding|effective"),
    "whose": ("base", r"base|instruct|change"),
    "project": ("own", r"own|base|instruct"),
    "direction": ("instruct_to_base", r"instruct_to_base|base_to_instruct"),
    "site": ("z", "|".join((*HEAD_SITES, *GROUP_SITES, *LAYER_SITES))),
    "positions": ("all", r"all|end|picked"),
    "recomputed": ("", r"1"),
    "show": ("score", r"score|effect"),
    "part": ("scatter", r"scatter|groups|pairs|greedy|set|positions|estimate"),
    "pairs": ("6", r"\d{1,2}"),
    "steps": ("6", r"\d{1,2}"),
    "heads": ("", r"L\d{1,3}H\d{1,3}(,L\d{1,3}H\d{1,3}){0,29}"),
    "map": ("resid_pre", "|".join(LAYER_SITES)),
}


LAG = 1.0  # seconds that a browser may take to show the address that a run has written
_TOKENS = {"pair", "base", "instruct", "instruction", "sentence", "original", "occurrence", "prompt", "template"}


def experiment() -> Experiment:
    return st.session_state.experiment


def edit(**changes) -> None:
    """Change the experiment; for callbacks. A followed token is forgotten: in other tokens it would be another one."""
    if _TOKENS & changes.keys() and "picked" not in changes:
        changes["picked"] = None
    st.session_state.experiment = replace(experiment(), **changes)


def view(name: str) -> str:
    return st.session_state.view.get(name, VIEW[name][0])


def set_view(name: str, value: str) -> None:
    st.session_state.view = {**st.session_state.view, name: value}


def chosen_head(n_layers: int, n_heads: int) -> tuple[int, int] | None:
    """(layer, head) chosen anywhere in the app, where the models at hand have it."""
    match = re.fullmatch(r"L(\d+)H(\d+)", view("head"))
    if match is None:
        return None
    layer, head = map(int, match.groups())
    return (layer, head) if layer < n_layers and head < n_heads else None


def group_size() -> int:
    """Query heads that share a KV group in the models on screen."""
    overview = st.session_state.get("last", {}).get("overview")
    return overview.n_heads // overview.n_groups if overview else 1


def read_address(page: str, start: Experiment) -> None:
    """Take over the address if it is new; a switch of pages drops the parameters, which is no change of mind.

    start: what a bare address shows.
    """
    query = st.query_params.to_dict()
    known = "experiment" in st.session_state
    switched = known and page != st.session_state.page and not query
    st.session_state.page = page
    if known and (query == st.session_state.address or switched or _lags(query)):
        # A run that ends early writes no address: the empty one must not be read as a new one by the next.
        _leave_for(query)
        return
    st.session_state.experiment, complaints = from_query(query) if query else (start, [])
    names = set(Experiment.__dataclass_fields__)
    st.session_state.view = {}
    for name, text in query.items():
        if name in VIEW and re.fullmatch(VIEW[name][1], text):
            st.session_state.view[name] = text
        elif name in VIEW:
            complaints.append(f"{name}={shorten(text, 30)} in the address cannot be read; it was ignored")
        elif name not in names:
            complaints.append(f"{shorten(name, 30)}={shorten(text, 30)} in the address is not known; it was ignored")
    st.session_state.complaints = complaints
    st.session_state.address = query


def _lags(query: dict[str, str]) -> bool:
    """Whether the browser only has not seen the newest address yet: an edit soon after an edit, not the back button."""
    now = time.monotonic()
    return any(query == address and now - when < LAG for address, when in st.session_state.get("left", []))


def write_address(start: Experiment) -> None:
    """Spell the experiment and the view in the address; start: what a bare one shows."""
    shown = {name: value for name, value in st.session_state.view.items() if value and value != VIEW[name][0]}
    # The start stays bare: spelling it would put an entry into the browser's history that Back cannot leave.
    query = {} if not shown and experiment() == start else {**to_query(experiment()), **shown}
    if query != st.query_params.to_dict():
        st.query_params.from_dict(query)
    _leave_for(query)


def _leave_for(address: dict[str, str]) -> None:
    """The tab's address is another one; for a moment the browser may still send the one before."""
    if address != st.session_state.address:
        st.session_state.left = [*st.session_state.get("left", [])[-7:], (st.session_state.address, time.monotonic())]
        st.session_state.address = address
