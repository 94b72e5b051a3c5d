"""Who is here: each tab's address, and whether a public demo has room for one more."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock

import streamlit as st
from streamlit import runtime

from core.settings import Settings
from pages.shared.door import door

_here: dict[str, str] = {}  # session → its address
_lock = Lock()


def address(session: Hashable) -> str:
    """Of a session that was let in; whose address is not known is alone at it."""
    return _here.get(str(session), str(session))


def count() -> int:
    """Open sessions."""
    with _lock:
        _forget_departed()
        return len(_here)


def admit(session: str, settings: Settings) -> None:
    """Let a session in, once; for the frame. Where there is no room, its page says so and ends here."""
    most = settings.max_sessions if settings.hosted else 0
    with _lock:
        if session in _here:
            return
        _forget_departed()
        if not most or len(_here) < most:
            _here[session] = _address(settings.hosted) or session
            return
    door("Too many visitors")
    tabs = "1 open tab" if most == 1 else f"{most} open tabs"
    st.warning(f"This demo has {tabs}, as many as it takes. Come back in a few minutes: your link stays as it is.")
    st.button("Try again", icon=":material/refresh:")
    st.stop()


def _forget_departed() -> None:
    if runtime.exists():
        active = runtime.get_instance().is_active_session
        for session in [session for session in _here if not active(session)]:
            del _here[session]


def _address(behind_a_proxy: bool) -> str | None:
    """A public demo's proxy says whose request it passes on, last of what stands in the header."""
    told = st.context.headers.get("X-Forwarded-For", "") if behind_a_proxy else ""
    return told.rpartition(",")[2].strip() or st.context.ip_address
