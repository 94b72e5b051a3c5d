"""What this tab looks at: the experiment and the view, in the session and in the address.

The session holds one `Experiment`; widgets show it and change it in their callbacks. After each run the address spells
it, so that a copied link shows the same. It is read when a tab opens, and when its viewer goes back or forward; at any
other time the session knows better, since a browser sends with an edit the address that it has got so far.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

import streamlit as st

from core import comparison
from core.experiment import Experiment, from_query, shorten, to_query
from core.patching.measures import MEASURES
from core.patching.plan import GROUP_SITES, HEAD_SITES, LAYER_SITES, MODEL_WEIGHTS, WEIGHT_SITES
from pages.shared.service import run_context, service

_WEIGHTS = [site for site in WEIGHT_SITES if site not in MODEL_WEIGHTS]
_SITES = "|".join((*HEAD_SITES, *GROUP_SITES, *LAYER_SITES, *_WEIGHTS))
# What a link says about the view rather than the numbers' question: name → (default, pattern).
VIEW = {
    "head": ("", r"L\d{1,3}H\d{1,3}"),
    "listed": ("", r"L\d{1,3}H\d{1,3}(,L\d{1,3}H\d{1,3}){0,15}"),
    "measure": ("weight", r"weight|value_weighted|written"),
    "of": ("change", r"change|base|instruct"),
    "source": ("original", r"original|colon|picked|most_base|most_instruct|first|bos|end"),
    "ov": ("recorded", r"recorded|embedding|effective"),
    "patterns": ("head", r"head|layer|listed"),
    "whose": ("base", r"base|instruct|change"),
    "project": ("own", r"own|base|instruct"),
    "lens": ("difference", r"difference|candidates"),
    "neurons": ("", r"\d{1,3}"),
    "direction": ("instruct_to_base", r"instruct_to_base|base_to_instruct"),
    "site": ("z", _SITES),
    "positions": ("all", r"all|end|picked"),
    "frozen": ("", r"1"),
    "recomputed": ("", r"1"),
    "show": ("score", "|".join(("score", "effect", *MEASURES))),
    "controls": ("", "1"),
    "part": ("", r"direct|scatter|groups|pairs|greedy|set|card|positions|estimate"),
    "origin": ("depth", r"depth|block|scatter|layers|norms"),
    "pairs": ("6", r"\d{1,2}"),
    "steps": ("6", r"\d{1,2}"),
    "path": ("", r"L\d{1,3}H\d{1,3}(,L\d{1,3}H\d{1,3}){0,60}"),
    "into": ("q", r"q|k|v"),
    "shared": ("head", r"head|group"),
    "heads": ("", r"L\d{1,3}(H|KV)\d{1,3}(,L\d{1,3}(H|KV)\d{1,3}){0,29}"),
    "set": ("shipped", r"shipped|own|built"),
    "sample": ("", r"all|12|24|72"),
    "set_part": ("groups", r"groups|patching|attribution|attention|recognize|rows"),
    "set_role": ("original", r"original|colon|first|bos"),
    "set_site": ("z", _SITES),
    "recognize": ("instructions", r"instructions|heads"),
    "counter": ("repeat", r"repeat|opposite|remove"),
    "map": ("resid_pre", "|".join(LAYER_SITES)),
    "numbers": ("", "prompt|set"),
    "against": ("post", "post|like"),
    "step": ("prompt", r"prompt|layers|heads|outputs|colon|values|where|origin|all"),
    "stage": ("", "1"),
    # What `core.presets` reads.
    "presets": ("", r"(?s).{0,4000}"),
}


NAMES = (*Experiment.__dataclass_fields__, *VIEW, *comparison.NAMES)
MOST_STEPS = 50  # that can be undone
# An address of nothing else asks for this server's pair.
_OF_ANY_PAIR = {"stage", "presets"}
# Who changes one of these has chosen the word, or taken the one that stands there.
_WORD = ("original", "occurrence", "answer")
_CHOICE = {*_WORD, "prompt"}
_TOKENS = {"pair", "base", "instruct", "instruction", "sentence", "original", "occurrence", "prompt", "template"}


def experiment() -> Experiment:
    return st.session_state.experiment


def compared() -> Experiment | None:
    """A, with which the experiment is compared; None while nothing is."""
    return st.session_state.get("compared")


def compare(a: Experiment | None) -> None:
    """Compare the experiment with another one, or with none; for callbacks."""
    st.session_state.compared, st.session_state.complaints = a, []


def edit(**changes) -> None:
    """Change the experiment; for callbacks. A followed token is forgotten: in other tokens it would be another one."""
    if _TOKENS & changes.keys() and "picked" not in changes:
        changes["picked"] = None
    before = experiment()
    st.session_state.experiment = replace(before, **changes)
    if _CHOICE & changes.keys():
        st.session_state.choosing = st.session_state.itself = False
    if replace(before, colon=0, picked=None) != replace(experiment(), colon=0, picked=None):
        st.session_state.past = [*past(), before][-MOST_STEPS:]
    st.session_state.complaints = []


def take(other: Experiment) -> None:
    """Go to another experiment; for callbacks."""
    edit(**{field.name: getattr(other, field.name) for field in fields(Experiment)})


def past() -> list[Experiment]:
    """The experiments of this tab before the current one, the last one last."""
    return st.session_state.get("past", [])


def swap() -> None:
    """Have A edited, and B kept as A; for callbacks. An edit as any other, and undone as one."""
    a, b = compared(), experiment()
    if a is not None:
        take(a)
        compare(b)
        st.session_state.swapped = a


def undo() -> None:
    """Go back to the last experiment that is not the current one; for callbacks."""
    steps = list(past())
    while steps:
        if (before := steps.pop()) != experiment():
            if (experiment(), before) == (st.session_state.get("swapped"), compared()):
                st.session_state.compared = experiment()
            st.session_state.experiment = before
            st.session_state.choosing = st.session_state.itself = False
            break
    st.session_state.past, st.session_state.complaints = steps, []


def anew() -> dict[str, Any]:
    """The post's prompt as changes of the experiment, which keep its pair and dtype."""
    first, kept = Experiment(), {"pair", "base", "instruct", "dtype"}
    return {field.name: getattr(first, field.name) for field in fields(Experiment) if field.name not in kept}


def reset() -> None:
    """Go to the post's prompt, on the pair and in the dtype on screen; for callbacks."""
    edit(**anew())


def view(name: str) -> str:
    return st.session_state.view.get(name, VIEW[name][0])


def set_view(name: str, value: str) -> None:
    st.session_state.view = {**st.session_state.view, name: value}
    st.session_state.complaints = []


def forget(name: str) -> None:
    """Go back to what the view has where nothing is said."""
    st.session_state.view = {key: value for key, value in st.session_state.view.items() if key != name}


def chosen_head(n_layers: int, n_heads: int) -> tuple[int, int] | None:
    """(layer, head) chosen anywhere in the app, where the models at hand have it."""
    match = re.fullmatch(r"L(\d+)H(\d+)", view("head"))
    if match is None:
        return None
    layer, head = map(int, match.groups())
    return (layer, head) if layer < n_layers and head < n_heads else None


def read_address() -> bool:
    """Take over the address, if it says something new: see above. Returns whether it was read."""
    if "experiment" in st.session_state and not run_context().is_history_navigation:
        return False
    query = _ours(st.query_params.to_dict())
    both = comparison.read(query)
    st.session_state.compared, st.session_state.experiment, complaints = both or (
        None, *(from_query(query) if query.keys() - _OF_ANY_PAIR else (service().start, []))
    )  # fmt: skip
    st.session_state.view = {}
    for name, text in query.items():
        if name in VIEW and re.fullmatch(VIEW[name][1], text):
            st.session_state.view[name] = text
        elif name in VIEW:
            complaints.append(f"{name}={shorten(text, 30)} in the address cannot be read; it was ignored")
        elif name not in NAMES:
            meant = f"it was ignored. Did you mean {_meant(name)}?"
            complaints.append(f"{shorten(name, 30)}={shorten(text, 30)} in the address is not known; {meant}")
    st.session_state.complaints = complaints
    st.session_state.address = query
    return True


def _meant(name: str) -> str | None:
    """The known parameter that one reads like."""
    return next(iter(get_close_matches(name.lower(), NAMES, 1, 0.8)), None)


def _ours(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters that are meant for this app; what a mailing or a search engine has added is not."""
    return {name: text for name, text in query.items() if name in NAMES or _meant(name)}


def address() -> dict[str, str]:
    """The parameters that spell the experiment and the view."""
    # The start stays bare: spelling it would put an entry into the browser's history that Back cannot leave.
    bare = not _shown() and compared() is None and experiment() == service().start
    return {} if bare else link()


def link() -> dict[str, str]:
    """The parameters that spell them on any server, whose start may be another one."""
    a = compared()
    return {**(to_query(experiment()) if a is None else comparison.spelled(a, experiment())), **_shown()}


def _shown() -> dict[str, str]:
    return {name: value for name, value in st.session_state.view.items() if value and value != VIEW[name][0]}


def write_address(refused: bool = False) -> None:
    """Have the browser show it: where that shows another one, or was last told another one and has not got it yet.

    Not while the original word chooses itself: its stand-in would be an entry that Back comes to. refused: whether the
    experiment is, and so nothing is chosen until it is mended: then without the stand-in, which nobody has chosen.
    """
    choosing = st.session_state.get("choosing")
    if choosing and not refused:
        return
    query = address()
    if choosing:
        beside = "" if compared() in (None, experiment()) else comparison.PREFIX
        query = {name: text for name, text in query.items() if name not in {f"{beside}{part}" for part in _WORD}}
    if not query == _ours(st.query_params.to_dict()) == st.session_state.address:
        st.query_params.from_dict(query)
        st.session_state.address = query
