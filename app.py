"""The explorer: `streamlit run app.py`.

The frame is a script of its own in another folder: beside a folder `pages`, Streamlit would run a fresh server's first
request in its legacy mode and answer a deep link with "Page not found".
"""

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cache import log_lines
from cache.courtesy import busy, coming
from core.models.pairs import default_pair
from core.presets import of_file
from core.settings import settings
from pages.shared import (
    addresses,
    circuitsvis,
    first_run,
    front,
    known,
    measures,
    outside,
    ready,
    sign_in,
    text_fields,
    theme,
    uncut,
    unsent,
)
from pages.shared.service import service

ENDING = 6.0  # seconds for the chunk that runs and for what is still to be written, of the 10 a host allows


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Let the worker import torch and load the default pair before the first visitor needs them; end it well."""
    uncut.runs()
    unsent.kept()
    known.sure()
    theme.read_once()
    text_fields.look_up()
    outside.unasked()
    with busy():
        # The quiet moment for importing torch is one after this.
        first_run.prepare()
    end_on_terminate()
    service().warm()
    yield
    if not service().close(ENDING):
        logging.getLogger(__name__).warning("what runs did not end within %.0f s and is not kept", ENDING)
        # A thread within torch would make of the interpreter's own ending an abort.
        os._exit(0)


def end_on_terminate() -> None:
    """Status 0 on SIGTERM: what serves would end in order and then raise the signal once more, against itself."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if hasattr(server, "should_exit"):
        signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))


class Serving:
    """ASGI middleware: torch is imported when no request is being answered, and no page is about to be drawn."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if front.for_a_page(scope):
            coming()
        with busy() if scope["type"] == "http" else nullcontext():
            await self.app(scope, receive, send)


try:
    environment = settings()
    log_lines.begin(environment.log_as_json, environment.log_prompts)
    sign_in.check(environment)
    if environment.pair:
        default_pair(environment.pair, str(environment.pairs or ""))
    if environment.presets:
        of_file(environment.presets, str(environment.pairs or ""))
except ValueError as error:
    sys.exit(f"error: {error}")
if st.get_option("server.fileWatcherType") != "none":
    # It imports edited modules anew, and with them a second worker and second models.
    sys.exit("error: the app runs without a file watcher; leave server.fileWatcherType at none and start it again")

routes = [circuitsvis.route(), addresses.explore(), ready.route(), measures.route()]
middleware = [Middleware(outside.Named), Middleware(front.Front, hosted=environment.hosted), Middleware(Serving)]
app = st.App("pages/frame.py", lifespan=lifespan, routes=routes, middleware=middleware)
