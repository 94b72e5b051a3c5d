"""Addresses that a viewer may well type, and that Streamlit knows under another name."""

from __future__ import annotations

import streamlit as st
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route


def explore() -> Route:
    """Explore is the first page, so it stands at the root and nowhere else: its name leads there."""

    async def lead(request: Request) -> RedirectResponse:
        # Relative, so that it holds behind a proxy that has put a path before ours.
        return RedirectResponse(f"./?{request.url.query}".removesuffix("?"))

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return Route(f"/{base}/explore" if base else "/explore", lead, methods=["GET"])
