"""The explorer: `streamlit run app.py`.

The frame is a script of its own in another folder: beside a folder `pages`, Streamlit would run a fresh server's first
request in its legacy mode and answer a deep link with "Page not found".
"""

import inspect
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import streamlit as st
import streamlit.emojis  # noqa: F401 — where a run looks up the page's icon: imported before the first visitor waits
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

import pages.attention.patterns  # noqa: F401 — likewise
import pages.attribution.parts  # noqa: F401
import pages.explore.parts  # noqa: F401
import pages.head.parts  # noqa: F401
import pages.models.parts  # noqa: F401
import pages.patching.sections  # noqa: F401
from cache.courtesy import busy
from core.models.pairs import default_pair
from core.presets import of_file
from core.settings import settings
from pages.shared import addresses, circuitsvis
from pages.shared.service import service


@asynccontextmanager
async def warm(app: st.App) -> AsyncIterator[None]:
    """Let the worker import torch and load the default pair before the first visitor needs them."""
    # Streamlit's first element asks for it, to see whether it runs in a console; the second time it is known.
    inspect.stack()
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
app = st.App("pages/frame.py", lifespan=warm, routes=routes, middleware=[Middleware(Serving)])
