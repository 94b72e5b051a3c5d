"""The explorer: `streamlit run app.py`.

The frame is a script of its own in another folder: beside a folder `pages`, Streamlit would run a fresh server's first
request in its legacy mode and answer a deep link with "Page not found".
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cache.courtesy import busy
from core.models.pairs import default_pair
from core.presets import of_file
from core.settings import settings
from pages.shared import addresses, circuitsvis, first_run, front
from pages.shared.service import service


@asynccontextmanager
async def warm(app: st.App) -> AsyncIterator[None]:
    """Let the worker import torch and load the default pair before the first visitor needs them."""
    first_run.prepare()
    service().warm()
    yield


class Serving:
    """ASGI middleware: torch is imported when no request is being answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with busy() if scope["type"] == "http" else nullcontext():
            await self.app(scope, receive, send)


try:
    environment = settings()
    if environment.pair:
        default_pair(environment.pair, str(environment.pairs or ""))
    if environment.presets:
        of_file(environment.presets, str(environment.pairs or ""))
except ValueError as error:
    sys.exit(f"error: {error}")
if st.get_option("server.fileWatcherType") != "none":
    # It imports edited modules anew, and with them a second worker and second models.
    sys.exit("error: the app runs without a file watcher; leave server.fileWatcherType at none and start it again")

routes = [circuitsvis.route(), addresses.explore()]
app = st.App("pages/frame.py", lifespan=warm, routes=routes, middleware=[Middleware(front.Front), Middleware(Serving)])
