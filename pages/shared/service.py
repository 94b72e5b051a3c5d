"""The process's one service, and which viewer asks it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import ScriptRunContext, get_script_run_ctx

from cache.answers import Answers
from cache.service import Service
from core.settings import settings
from pages.shared import visitors


@lru_cache
def service() -> Service:
    return Service(settings(), _is_active, Answers.of(settings()), visitors.address)


def _is_active(owner: Hashable) -> bool:
    session = owner[0] if isinstance(owner, tuple) else owner
    return owner in Service.OWNERS or get_instance().is_active_session(str(session))


def owner() -> str:
    return run_context().session_id


def beside(owner: Hashable) -> Hashable:
    """The same viewer, as who looks at another experiment at the same time: what one of both drops, the other keeps."""
    return owner, "beside"


def run_context() -> ScriptRunContext:
    """Streamlit's own, of the run that draws a page now."""
    context = get_script_run_ctx()
    assert context is not None, "only Streamlit runs pages"
    return context
