"""The pair of models: its choice, what is lacking for others, and what its dtype does to the gap."""

from __future__ import annotations

from functools import lru_cache
from time import monotonic

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.experiment import DTYPES, Experiment, InputError
from core.models.dtype import is_below
from core.models.pairs import PairSpec, lacking
from core.models.standing import Standing, standing
from pages.shared import state
from pages.shared.asking import Asking
from pages.shared.service import service
from pages.shared.text import plain
from pages.shared.widgets import show

OWN = "own models"
_LOOKS = 2.0  # seconds between two looks at the disk
_WARNING = ":orange[:material/warning:] "


def choice(experiment: Experiment) -> None:
    """The menu of pairs: each says whether it is here, has to be downloaded or cannot run on this machine."""
    try:
        pairs = service().pairs()
    except InputError:
        # A pairs file that cannot be read: what is asked is refused with the reason.
        pairs = {}
    ids = list(pairs)
    own = bool(experiment.base or experiment.instruct)
    if own or experiment.pair not in pairs:
        ids.append(OWN if own else experiment.pair)
    current = OWN if own else experiment.pair

    def choose(name: str) -> None:
        if name != OWN:
            state.edit(pair=name, base="", instruct="")

    def title(name: str) -> str:
        if name == OWN:
            return f"{experiment.base} → {experiment.instruct}"
        return _title(pairs[name], experiment) if name in pairs else f"{name} (unknown)"

    # Streamlit asks several times for each.
    once = lru_cache(title)
    show(st.selectbox, "Pair of models", "input_pair", current, choose, options=ids, format_func=once)
    if current in pairs:
        st.caption(plain(_line(pairs[current])))
    _absent([spec for name, spec in pairs.items() if name != current])


def _title(spec: PairSpec, experiment: Experiment) -> str:
    # An address may name any dtype; that it is none is said at its own input.
    dtype = experiment.dtype if experiment.dtype in DTYPES else ""
    found = _standing(spec, service().room(), dtype or service().settings.dtype or "", monotonic() // _LOOKS)
    return f"{spec.title} ({'a toy, ' if found.toy else ''}{found.text})"


@lru_cache(512)
def _standing(spec: PairSpec, room: int | None, dtype: str, when: float) -> Standing:
    """For all viewers, whose every run asks of every pair. when: looked at anew once that is another one."""
    return standing(spec, room, dtype)


def _line(spec: PairSpec) -> str:
    need = spec.bytes_needed()
    memory = f"Needs {need / 1e9:.1f} GB in {spec.dtype}. " if need else ""
    return (memory + spec.note).strip()


def _absent(specs: list[PairSpec]) -> None:
    """What other pairs lack on this machine, with the remedy: for its owner, not for a public demo's visitors."""
    if service().settings.hosted:
        return
    for spec in specs:
        if why := lacking(spec):
            st.caption(plain(f"{spec.title}: {why}"))


def precision(slot: DeltaGenerator, asking: Asking) -> None:
    """Where the dtype is below that of the stored weights: what that does to the gap on screen."""
    current = asking.ask("overview")
    if current.result is None or not current.fresh or current.result.quantization:
        return
    if not is_below(current.result.dtype, current.result.stored_dtype):
        return
    dtypes = f"{current.result.dtype} is below the stored {current.result.stored_dtype}"
    answer = asking.ask("stored_gap")
    with slot:
        if answer.result is not None and answer.fresh:
            st.caption(_WARNING + plain(answer.result.text))
        else:
            what = "could not be measured" if answer.failure is not None else "is being measured"
            st.caption(f"{_WARNING}{dtypes}; what that does to the gap {what}.")
