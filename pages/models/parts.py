"""The parts of the Models page. Nothing here asks the worker for an answer: the page opens while torch sleeps."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from cache.inspection import Inspection, floors, inspect, versions
from cache.store import StoreStats
from core.experiment import InputError
from core.models.pairs import PairSpec
from core.models.standing import standing
from core.patching.floor import THIRDS
from core.wording import brief
from pages.shared import sign_in, stage, state
from pages.shared.headings import part
from pages.shared.service import service
from pages.shared.text import plain

EVERY = 2.0  # seconds between two looks at what changes
GB = 10**9
_LARGE = """<style>
.st-key-pairs_large :is(td, th) { padding: .08rem .6rem; font-size: 1.05rem; }
</style>"""


def pairs() -> None:
    """Every listed pair: whether it is here, and what it needs."""
    try:
        listed = service().pairs()
    except InputError as error:
        st.error(plain(str(error)))
        return
    shown = state.experiment().pair
    rows = [(spec.id, spec.title, spec.dtype, _memory(spec), _here(spec), spec.id == shown) for spec in listed.values()]
    table = pd.DataFrame(rows, columns=["id", "pair", "dtype", "memory", "weights", "on screen"])
    if stage.on():
        _large(table)
    else:
        st.dataframe(table, hide_index=True, key="pairs_table")
    st.caption("Memory: both models, in that dtype. The settings choose the pair; REPHRASE_PAIRS adds your own.")


def _large(table: pd.DataFrame) -> None:
    """Type as large as the stage's: of a data frame it is as large everywhere."""
    st.html(_LARGE)
    marked = table.assign(**{"on screen": table["on screen"].map({True: "✓", False: ""})})
    with st.container(key="pairs_large"):
        st.table(marked.map(plain), hide_index=True)


def _memory(spec: PairSpec) -> str:
    need = spec.bytes_needed()
    return f"{need / GB:.1f} GB" if need else ""


def _here(spec: PairSpec) -> str:
    found = standing(spec, service().room(), service().settings.dtype or "")
    return found.text + (": a toy" if found.toy else "")


@st.fragment(run_every=EVERY)
def live() -> None:
    """Device and memory, the queue, and the answers that are kept; drawn again as they change."""
    found = inspect(service())
    part("Now")
    rows = [*_device(found), *_queue(found), *_answers(found)]
    st.dataframe(pd.DataFrame(rows, columns=["what", "now"]), hide_index=True, key="live_table")
    for store in found.stores:
        if store.trouble:
            st.warning(plain(store.trouble))


def _device(found: Inspection) -> list[tuple[str, str]]:
    if not found.device:
        yet = found.no_device or f"{service().settings.device}: torch has not been started yet"
        return [("device", yet), ("memory of this process", f"{found.used_bytes / GB:.2f} GB")]
    budget = f", of a budget of {found.budget_bytes / GB:.1f} GB" if found.budget_bytes else ""
    taken = sum(resident.bytes for resident in found.residents)
    pairs = ", ".join(f"{r.key} ({r.bytes / GB:.1f} GB{', in use' if r.uses else ''})" for r in found.residents)
    return [
        ("device", f"{found.device}, {(found.free_bytes or 0) / GB:.1f} GB free"),
        ("memory of this process", f"{found.used_bytes / GB:.2f} GB"),
        ("pairs in memory", pairs or "none"),
        ("their memory", f"{taken / GB:.1f} GB{budget}"),
    ]


def _queue(found: Inspection) -> list[tuple[str, str]]:
    worker = found.worker
    running = " inside ".join(_name(key) for key in reversed(worker.running))
    return [
        ("running", running or "nothing"),
        ("waiting", f"{worker.queued} for {worker.owners} viewer{'s' if worker.owners != 1 else ''}"),
    ]


def _name(key: object) -> str:
    """A job without its prompt: what somebody else has typed is not this viewer's."""
    return str(key[0]) if isinstance(key, tuple) else str(key)


def _answers(found: Inspection) -> list[tuple[str, str]]:
    worker = found.worker
    kept = [("answers in memory", f"{worker.kept}, {worker.kept_bytes / 1e6:.1f} MB")]
    return kept + [(f"answers in {store.path.name}", _store(store)) for store in found.stores]


def _store(store: StoreStats) -> str:
    asked = store.hits + store.misses
    rate = f", {store.hits} of {asked} lookups found" if asked else ""
    limit = f" of {store.limit / 1e6:.0f}" if store.limit else ""
    return f"{store.entries}, {store.bytes / 1e6:.1f}{limit} MB{rate}"


def noise_floors() -> None:
    """Of the sweeps in memory: what rounding alone moves, in logits."""
    part("Noise floors of finished sweeps")
    found = floors(service())
    if not found:
        st.caption("None yet: every sweep on the page Patching measures its own.")
        return
    rows = [(f.pair, f.site, f.direction, *map(brief, f.floor.thirds), _prompt(f.prompt)) for f in found]
    columns = ["pair", "site", "direction", *(f"{third} third" for third in THIRDS), "prompt"]
    st.dataframe(pd.DataFrame(rows, columns=columns), hide_index=True, key="floors_table")
    st.caption("In logits, by third of the depth: a patch that moves less says nothing.")


def _prompt(text: str) -> str:
    """On a public demo prompts are their writers'."""
    return "" if service().settings.hosted else text


def may_change() -> bool:
    """Whether this viewer may press what changes something for all."""
    return sign_in.may_operate(service().settings, st.session_state.get("operator", ""))


def buttons() -> None:
    """What changes something for every viewer."""
    if service().settings.operator and not (may_change() and not st.session_state.get("operator")):
        st.text_input("Operator's password", type="password", key="operator")
        if st.session_state.operator and not may_change():
            st.error("That is not the operator's password.")
    if not may_change():
        return
    with st.container(horizontal=True, key="operator_buttons"):
        for label, change, help_ in _CHANGES:
            st.button(label, on_click=_if_allowed(change), help=help_)


def _if_allowed(change: Callable[[], None]) -> Callable[[], None]:
    """Asked again when the button is pressed: a page may have been drawn before the password was taken back."""
    return lambda: change() if may_change() else None


def _release_models() -> None:
    service().release_models()


def _forget_memory() -> None:
    service().worker.clear()


def _empty_store() -> None:
    service().answers.clear()
    service().worker.clear()


_CHANGES = (
    ("Release models", _release_models, "Takes pairs that no job uses out of memory; the next question loads them."),
    ("Forget answers in memory", _forget_memory, "They are read from disk, or computed, when they are asked again."),
    ("Empty the store", _empty_store, "Every answer on this machine's disk is gone; bundles stay as they are."),
)


def libraries() -> None:
    """What the numbers and figures were made with."""
    with st.expander("Versions"):
        st.dataframe(pd.DataFrame(versions().items(), columns=["library", "version"]), hide_index=True, key="versions")
