"""What a browser fetches before anything is on screen: Streamlit's own files, sooner and at less cost.

Streamlit reads each of some hundred small files from disk in pieces, behind all its middleware, and a browser learns of
the chunk that draws charts, by far the largest, only as the first chart arrives. So files whose names hold a hash are
served from memory, and the page that starts everything names the chunks that every page of ours needs. What is not
found in Streamlit's folder is left to Streamlit.

It also tells where the app's root is and what the server would answer about hosts. Without these a browser asks first,
for a link to a page at a wrong place, and connects only then.

On a hosted server that page carries `pages.shared.policy`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from mimetypes import guess_type
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir

from pages.shared import circuitsvis
from pages.shared.policy import policy
from pages.shared.shortcuts import EARLY

# Chunks of every page, by what stands before the hash in their names; of what draws charts, the last and largest.
CHUNKS: tuple[str, ...] = ("Html", "purify.es", "PageLink", "Button", "MenuButton", "BidiComponent", "TextInput")
CHUNKS += ("ButtonGroup", "DownloadButton", "PlotlyChart")
_IMPORTS = re.compile(r"""(?:from|import)"\./([^"]+\.js)\"""")
_TOP = 20_000  # bytes of a chunk within which its imports stand
_KEPT = "public, immutable, max-age=31536000"
# Answered by Streamlit: a part of a file, or whether it has changed.
_SPECIAL = ("range", "if-none-match", "if-modified-since", "if-range")


class Front:
    """ASGI middleware; folder: Streamlit's own by default; hosted: whether strangers may come."""

    def __init__(self, app: ASGIApp, folder: Path | None = None, hosted: bool = False) -> None:
        self.app = app
        folder = folder or Path(get_static_dir())
        base = str(st.get_option("server.baseUrlPath") or "").strip("/")
        root = f"/{base}/" if base else "/"
        # By whole addresses: no path of a request is ever joined to a folder.
        files = (path for path in (folder / "static").rglob("*") if path.is_file())
        self._files = {root + path.relative_to(folder).as_posix(): path for path in files}
        self._index = _read(folder / "index.html")
        origins = st.get_option("client.allowedOrigins")
        self._announcing = announcing(self._index, chunks(folder / "static/js"), origins)
        self._policy = policy(self._announcing, circuitsvis.scripts()) if hosted else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
        elif (path := self._files.get(scope["path"])) and not any(name in Headers(scope=scope) for name in _SPECIAL):
            await _response(path)(scope, receive, send)
        else:
            if for_a_page(scope):
                # Not compressed: every browser would have it so, and it is small.
                scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"accept-encoding"]}
            await self.app(scope, receive, self._sending(send))

    def _sending(self, send: Send) -> Send:
        """`send`, but Streamlit's first page goes out with the links."""
        held: list[Message] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and self._may_be_index(message):
                held.append(message)
                return
            if held:
                start = held.pop()
                if message.get("body") == self._index and not message.get("more_body"):
                    start, message = self._announced(start), {**message, "body": self._announcing}
                await send(start)
            await send(message)

        return sending

    def _may_be_index(self, start: Message) -> bool:
        headers = Headers(raw=start["headers"])
        return start["status"] == 200 and headers.get("content-length") == str(len(self._index)) != "0"

    def _announced(self, start: Message) -> Message:
        # Its mark would be that of the file without the links.
        given = [(name, value) for name, value in start["headers"] if name not in (b"content-length", b"etag")]
        given.append((b"content-length", str(len(self._announcing)).encode()))
        if self._policy:
            given.append((b"content-security-policy", self._policy.encode()))
        return {**start, "headers": given}


def for_a_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, and not for what belongs to one."""
    return scope["type"] == "http" and "text/html" in Headers(scope=scope).get("accept", "")


def chunks(folder: Path) -> list[str]:
    """The names of the files that hold `CHUNKS`, each behind what it imports."""
    names: dict[str, None] = {}
    for stem in CHUNKS:
        for path in sorted(folder.glob(f"{stem}.*.js")):
            _with_imports(path, names)
    return list(names)


def _with_imports(path: Path, names: dict[str, None]) -> None:
    found = _IMPORTS.findall(_read(path)[:_TOP].decode(errors="replace"))
    for name in found:
        if name not in names and (path.parent / name).is_file():
            names[name] = None
            _with_imports(path.parent / name, names)
    names.pop(path.name, None)
    names[path.name] = None


def announcing(index: bytes, names: Iterable[str], origins: Iterable[str] = ()) -> bytes:
    """The first page with a link to each chunk that it doesn't name itself, behind its own, which are needed sooner,
    and before all with the app's root and the hosts that may speak to it, and with what holds the keys meanwhile.
    """
    new = [name.encode() for name in names if name.encode() not in index]
    links = b"".join(b'<link rel="modulepreload" crossorigin href="./static/js/%b">\n' % name for name in new)
    hosts = json.dumps({"allowedOrigins": list(origins), "useExternalAuthToken": False}).replace("<", "\\u003c")
    # The root as the page's own files have it: relative to the address, so behind a proxy too.
    root = b"<script>window.__streamlit = {BACKEND_BASE_URL: new URL('.', location).href, HOST_CONFIG: %b}</script>\n"
    keys = b"<script>%b</script>\n" % EARLY.encode()
    if not new or b"</head>" not in index:
        return index  # of a Streamlit that is not known here
    first = b"<head>\n" + root % hosts.encode() + keys
    return index.replace(b"<head>", first, 1).replace(b"</head>", links + b"</head>", 1)


def _response(path: Path) -> Response:
    kind = guess_type(path.name)[0] or "application/octet-stream"
    return Response(_read(path), media_type=kind, headers={"Cache-Control": _KEPT})


@cache
def _read(path: Path) -> bytes:
    """Streamlit's folder does not change while it runs; what is asked for is a few MB of it."""
    return path.read_bytes() if path.is_file() else b""
