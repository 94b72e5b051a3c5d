"""A viewer without a browser: one websocket that speaks as Streamlit's front end does.

It sends what the fields hold, runs fragments as often as the server asks it to, and knows what is on screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MAX_MESSAGE = 50 * 10**6
KEPT = 2  # whole runs after which a browser drops a message that has not come again
PATIENCE = 300.0  # seconds: whoever waits longer waits for ever


class Viewer:
    """messages, received: how many messages and bytes have come; runs: whole runs of the page that have ended."""

    def __init__(self, socket: ClientConnection, query: str, page: str):
        self.messages = self.received = self.runs = 0
        self._socket, self._query, self._page = socket, query, page
        self._hash = ""
        self._run = 0
        # delta path → (run that drew it, element)
        self._elements: dict[tuple[int, ...], tuple[int, object]] = {}
        self._states: dict[str, object] = {}
        self._fragments: dict[str, asyncio.Task] = {}
        self._changed = asyncio.Event()
        # hash → (run that it was last used in, message), as a browser keeps them
        self._cached: dict[str, tuple[int, ForwardMsg]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def visit(cls, url: str, page: str = "", **address: str) -> AsyncIterator[Viewer]:
        """Open a page of the app at `url` and leave it at the end."""
        at = urlsplit(url)
        async with connect(
            f"ws://{at.netloc}/_stcore/stream",
            subprotocols=["streamlit", "PLACEHOLDER_AUTH_TOKEN"],
            origin=f"{at.scheme}://{at.netloc}",
            max_size=MAX_MESSAGE,
            open_timeout=PATIENCE,
            ping_timeout=None,
        ) as socket:
            viewer = cls(socket, urlencode(address), page)
            try:
                await viewer._rerun()
                yield viewer
            finally:
                viewer.leave()

    def leave(self) -> None:
        for task in (self._reading, *self._fragments.values()):
            task.cancel()

    @property
    def text(self) -> str:
        """What is written on screen, figures' own text apart."""
        return "\n".join(found for _, element in self._elements.values() if (found := _text(element)))

    @property
    def charts(self) -> list[str]:
        """The specification of every chart on screen."""
        elements = (element for _, element in self._elements.values())
        return [e.plotly_chart.spec for e in elements if e.WhichOneof("type") == "plotly_chart"]

    async def edit(self, label: str, text: str) -> None:
        """Write into the text field of this label, and leave it."""
        await self._send(label, ("text_input", "text_area"), string_value=text)

    async def click(self, label: str) -> None:
        await self._send(label, ("button",), trigger_value=True)

    async def until(self, holds: Callable[[Viewer], bool], patience: float = PATIENCE) -> float:
        """Seconds until it held."""
        began = time.perf_counter()
        while not holds(self):
            if self._reading.done():
                self._reading.result()
                raise ConnectionError("the server ended the session")
            self._changed.clear()
            left = patience - (time.perf_counter() - began)
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                raise TimeoutError(f"not within {patience:.0f} s; on screen:\n{self.text}") from None
        return time.perf_counter() - began

    async def _send(self, label: str, kinds: tuple[str, ...], **value: object) -> None:
        for _, element in self._elements.values():
            kind = element.WhichOneof("type")
            if kind in kinds and getattr(element, kind).label == label:
                break
        else:
            raise LookupError(f"nothing named {label!r} is on screen")
        widget, trigger = getattr(element, kind).id, "trigger_value" in value
        self._states[widget] = value
        await self._rerun()
        if trigger:
            del self._states[widget]

    async def _rerun(self, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.page_name = self._query, self._hash, self._page
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        state.cached_message_hashes.extend(self._cached)
        state.widget_states.SetInParent()
        for widget, value in self._states.items():
            state.widget_states.widgets.add(id=widget, **value)
        await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                self.messages += 1
                self.received += len(data)
                message = ForwardMsg.FromString(data)
                if message.WhichOneof("type") == "ref_hash":
                    metadata, message = message.metadata, self._cached[message.ref_hash][1]
                    message.metadata.CopyFrom(metadata)
                if message.metadata.cacheable or message.hash in self._cached:
                    self._cached[message.hash] = self._run, message
                self._take(message)
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self._changed.set()

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._hash = message.new_session.page_script_hash
            if not message.metadata.run.fragment_ids:
                self._run += 1
                self._stop_fragments()
        elif kind == "delta":
            path = tuple(message.metadata.delta_path)
            if message.delta.WhichOneof("type") == "new_element":
                self._elements[path] = (self._run, message.delta.new_element)
            else:
                # A block takes the place of what stood there.
                self._elements.pop(path, None)
        elif kind == "navigation":
            self._hash = message.navigation.page_script_hash or self._hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._every(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                if fragment in self._fragments:
                    self._fragments.pop(fragment).cancel()
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            self.runs += 1
            self._elements = {path: drawn for path, drawn in self._elements.items() if drawn[0] == self._run}
            self._cached = {key: used for key, used in self._cached.items() if used[0] > self._run - KEPT}

    def _every(self, fragment: str, seconds: float) -> None:
        async def ticking() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self._rerun(fragment)

        if fragment in self._fragments:
            self._fragments.pop(fragment).cancel()
        self._fragments[fragment] = asyncio.create_task(ticking())

    def _stop_fragments(self) -> None:
        for task in self._fragments.values():
            task.cancel()
        self._fragments.clear()


def _text(element) -> str:
    kind = element.WhichOneof("type")
    found = getattr(element, kind or "", None)
    text = str(getattr(found, "body", "") or getattr(found, "label", ""))
    return "" if text.startswith("<style>") else text
