"""Streamlit asks nobody who this machine is, and answers under no other name than its own.

It compares the origin of a websocket that comes from elsewhere with this machine's address in the internet, for which
it asks a server there, in the thread that serves everybody and at every attempt. An origin that is neither the host
that was asked for, nor named in `browser.serverAddress` or `server.corsAllowedOrigins`, is foreign without that.

`server.allowedHosts` it holds against websockets alone; here every request is.
"""

from __future__ import annotations

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import net_util
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

# Asked from beside the server, by whatever name it has there; a proxy in front of it hides them.
PROBES = ("/readyz", "/metrics", "/_stcore/health")


def unasked() -> None:
    """From now on: no address of this machine is known but those that it is told."""
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None


class Named:
    """ASGI middleware: a request for a host that is not among `server.allowedHosts` is refused, where any are named."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        base = str(st.get_option("server.baseUrlPath") or "").strip("/")
        self._probes = {*PROBES, *(f"/{base}{path}" for path in PROBES)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Streamlit refuses such sockets itself.
        if scope["type"] == "http" and scope["path"] not in self._probes:
            if not is_host_allowed(Headers(scope=scope).get("host")):
                await PlainTextResponse("This server has another name.", 421)(scope, receive, send)
                return
        await self.app(scope, receive, send)
