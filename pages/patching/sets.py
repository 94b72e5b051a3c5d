"""The set of heads that is patched together: typed, or taken from the table, the greedy circuit or the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.experiment import InputError
from core.patching.members import Member, Members, name_of, of_site, read_members
from pages.patching.plan import Plan
from pages.shared import state
from pages.shared.text import plain
from pages.shared.widgets import show

MOST = 30  # members, that the address holds
_EMPTY = "Type heads, or take them from the table, the greedy circuit or the pairs with “Use as set”."


@dataclass(frozen=True)
class _Refused:
    """A text that names no set. among: the set and the site that it was typed beside."""

    text: str
    why: str
    among: tuple[str, str]


def as_set(members: Sequence[Member], key: str, which: str, site: str) -> None:
    """A button that makes these the set."""
    names = ",".join(name_of(member, site) for member in members[:MOST])

    def use() -> None:
        state.set_view("heads", names)
        if state.view("part") != "card":
            state.set_view("part", "set")

    help_ = f"Patches {which} together, under “A set of heads” and “Circuit card”."
    st.button("Use as set", on_click=use, disabled=not members, key=key, help=help_, icon=":material/join_inner:")


def set_input(plan: Plan) -> Members:
    """What the address names, as the site takes it, and the input that changes it; empty where none is named."""
    site = plan.of_sets["site"]
    members, beside = _named(plan, site), (state.view("heads"), site)
    refused: _Refused | None = st.session_state.get("refused_set")
    shown = " ".join(name_of(member, site) for member in members)
    if refused is not None and refused.among == beside:
        shown = refused.text

    def change(text: str) -> None:
        st.session_state.refused_set = None
        try:
            state.set_view("heads", ",".join(name_of(member, site) for member in _read(text, site, plan)))
        except InputError as error:
            st.session_state.refused_set = _Refused(text, str(error), beside)

    show(
        st.text_input, f"{plan.members} that are patched together ({site})", "input_heads", shown, change,
        placeholder=f"{name_of((0, 0), site)} {name_of((1, 0), site)}",
    )  # fmt: skip
    if refused is not None and refused.among == beside:
        st.error(plain(f"{refused.why[0].upper()}{refused.why[1:]}."))
    elif not members:
        st.info(_EMPTY)
    return members


def _read(text: str, site: str, plan: Plan) -> Members:
    members = read_members(text, site, plan.shape) if text.strip() else ()
    if len(members) > MOST:
        raise InputError(f"a set of {len(members)} is too long for a link; name {MOST} at most", "heads")
    return members


def _named(plan: Plan, site: str) -> Members:
    there: list[Member] = []
    absent: list[str] = []
    for name in filter(None, state.view("heads").split(",")):
        kind = "group" if "KV" in name else "head"
        try:
            there += of_site(read_members(name, {"group": "v", "head": "z"}[kind], plan.shape), kind, site, plan.shape)
        except InputError:
            absent.append(name)
    if absent:
        st.warning(f"These models have no {', '.join(absent)}.")
    return tuple(sorted(set(there)))
