"""What the server does, for Prometheus, at `/metrics`: a proxy in front of a public demo hides it from visitors."""

from __future__ import annotations

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pages.shared import visitors
from pages.shared.service import service

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def route() -> Route:
    async def read(request: Request) -> Response:
        told = service().metrics.text(service(), visitors.count())
        return Response(told, headers={"Content-Type": _TYPE, "Cache-Control": "no-store"})

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return Route(f"/{base}/metrics" if base else "/metrics", read, methods=["GET"])
