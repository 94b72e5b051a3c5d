"""One run of a session at a time: what a viewer typed is not lost where a click elsewhere follows at once.

Streamlit begins a run while the one before still ends, and both have the session. It ends a run at its next look into
the session, within a callback too; the widget's new value is noted by then, and the next run sees no change. And it
locks the session for each run by itself, so the next run reads what a callback of the last one is about to replace.
Here a callback is done before its run may end, and the next run waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state import SafeSessionState

_LOOKS = ("register_widget", "reset_state_value", "__getitem__", "__setitem__", "__delitem__", "__contains__")
_ADDING, _LOCKS = Lock(), WeakValueDictionary[int, Any]()


@cache
def runs() -> None:
    """Have Streamlit's runs follow this, those that begin from now on; done once a process."""
    wrapped: Any = SafeSessionState
    begin = wrapped.__init__

    @wraps(begin)
    def beginning(session: Any, state: Any, *given: Any, **options: Any) -> None:
        begin(session, state, *given, **options)
        # A run holds the state, so as long as one has the lock nothing else is found at that address.
        with _ADDING:
            object.__setattr__(session, "_lock", _LOCKS.setdefault(id(state), RLock()))

    wrapped.__init__ = beginning
    for name in _LOOKS:
        setattr(wrapped, name, _locked(getattr(wrapped, name)))
    wrapped.on_script_will_rerun = _locked(wrapped.on_script_will_rerun, cut=False)


def _locked(method: Callable[..., Any], cut: bool = True) -> Callable[..., Any]:
    """The method, which sees whether its run is to end with the session locked already: nobody comes between.

    cut: whether it may end in the middle.
    """

    @wraps(method)
    def locked(session: Any, *given: Any, **options: Any) -> Any:
        with session._lock:
            if cut:
                return method(session, *given, **options)
            session._yield_callback()
            with uncut():
                return method(session, *given, **options)

    return locked


@contextmanager
def uncut() -> Iterator[None]:
    """Within the block this run does not end, whoever asks it to, and no other one of the session goes on."""
    context: Any = get_script_run_ctx()
    with context.session_state._lock:
        # Of this run's requests alone, before the class's own.
        context.script_requests.on_scriptrunner_yield = lambda: None
        try:
            yield
        finally:
            del context.script_requests.on_scriptrunner_yield
