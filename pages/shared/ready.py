"""`/readyz`: whether questions are answered, for who runs the server. That the server lives, `/_stcore/health` says."""

from __future__ import annotations

from functools import lru_cache

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cache.pulse import Pulse
from pages.shared.service import service

_WAIT = 2.0  # seconds


@lru_cache
def _pulse() -> Pulse:
    return Pulse(service().worker)


def route() -> Route:
    async def ready(request: Request) -> PlainTextResponse:
        beats = await run_in_threadpool(_pulse().beats, _WAIT)
        return PlainTextResponse("ready" if beats else "the worker does not answer", 200 if beats else 503)

    return Route("/readyz", ready, methods=["GET"])
