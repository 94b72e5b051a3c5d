"""The process's one service, and which viewer asks it."""

from __future__ import annotations

from functools import lru_cache

from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cache.service import Service
from core.settings import settings


@lru_cache
def service() -> Service:
    return Service(settings(), alive=_is_active)


def _is_active(owner: str) -> bool:
    return owner == Service.WARMING or get_instance().is_active_session(owner)


def owner() -> str:
    return get_script_run_ctx().session_id
