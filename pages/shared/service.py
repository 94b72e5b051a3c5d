"""The process's one service, and which viewer asks it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import ScriptRunContext, get_script_run_ctx

from cache.answers import Answers
from cache.service import Service
from core.settings import settings


@lru_cache
def service() -> Service:
    return Service(settings(), _is_active, Answers.of(settings()))


def _is_active(owner: Hashable) -> bool:
    return owner in Service.OWNERS or get_instance().is_active_session(str(owner))


def owner() -> str:
    return run_context().session_id


def run_context() -> ScriptRunContext:
    """Streamlit's own, of the run that draws a page now."""
    context = get_script_run_ctx()
    assert context is not None, "only Streamlit runs pages"
    return context
