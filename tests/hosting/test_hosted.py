"""The app as strangers meet it: behind the proxy, under its policy, in a real browser; it calls nobody on its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.browser.conftest import Viewer, new_tab
from tests.browser.server import ROOT, Server, server
from tests.browser.test_access import PAGES
from tests.browser.test_downloads import downloaded
from tests.browser.test_prompts import OWN
from tests.hosting.nginx import Proxy
from tests.load.viewer import Viewer as Visit

WATCHED = Path(__file__).with_name("watched")


@dataclass(frozen=True)
class Hosted:
    """app: the server itself; proxy: what stands before it; notes: whom it called and where it wrote."""

    app: Server
    proxy: Proxy
    notes: Path

    @property
    def app_port(self) -> int:
        return int(self.app.url.rstrip("/").rpartition(":")[2])

    @property
    def called(self) -> list[str]:
        return [line for line in self.notes.read_text().splitlines() if line.startswith("called")]

    @property
    def wrote(self) -> set[Path]:
        lines = (line.partition(" ") for line in self.notes.read_text().splitlines())
        return {Path(path) for what, _, path in lines if what == "wrote"}


@pytest.fixture(scope="module")
def hosted(tmp_path_factory, proxied) -> Iterator[Hosted]:
    folder = tmp_path_factory.mktemp("hosted")
    notes = folder / "notes"
    (folder / "temporary").mkdir()
    set_up = {
        "REPHRASE_HOSTED": "1",
        "REPHRASE_SHIPPED": "1",
        "REPHRASE_STORE_MB": "64",
        "REPHRASE_CACHE": str(folder / "home/.cache/rephrase"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "localhost",
        "PYTHONPATH": str(WATCHED),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NOTES": str(notes),
    }
    with server(folder / "log", **set_up) as app:
        yield Hosted(app, proxied(int(app.url.rstrip("/").rpartition(":")[2])), notes)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
def visitor(hosted, chromium) -> Iterator[Viewer]:
    """A new viewer who comes through the proxy, policy and all; their complaints are the test's to read."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Viewer(new_tab(context), f"http://localhost:{hosted.proxy.port}/")
    context.close()


def test_every_page_works_under_the_policy_and_a_script_that_got_in_would_not_run(visitor):
    page = visitor.page
    for path, (_, charts) in PAGES.items():
        policy = page.goto(f"{visitor.url}{path}").headers["content-security-policy"]
        assert "script-src 'self' blob: 'sha256-" in policy and "frame-ancestors 'none'" in policy
        visitor.settle()
        expect(page.locator(".js-plotly-plot .main-svg .gtitle")).to_have_count(charts)
    # What is drawn in a frame of its own, by a script that comes in a message.
    visitor.open("attention", head="L1H2")
    box = page.locator(".st-key-pattern iframe")
    box.scroll_into_view_if_needed()
    expect(box.content_frame.locator("canvas")).to_have_count(2)
    # Files that are made for a viewer, and one of theirs.
    assert downloaded(visitor, page.locator(".st-key-export_html button").first.click).path().stat().st_size > 10_000
    visitor.open("prompts", sample="12")
    page.locator(".st-key-own_set button").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": OWN.encode()}
    )
    expect(page.locator(".st-key-finding")).to_contain_text("On one prompt")
    visitor.settle()
    assert visitor.complaints == []
    got_in = "<img src=x onerror='window.ran = 1'>"
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", got_in)
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.evaluate("typeof window.ran") == "undefined"


def test_an_open_session_goes_on_when_the_proxy_is_started_again(hosted, visitor):
    page = visitor.page
    visitor.open()
    sentence = page.get_by_label("Sentence", exact=True).first

    def edit(text: str) -> list[str]:
        before = visitor.figures
        sentence.fill(text)
        sentence.press("Enter")
        expect(page.locator(".st-key-finding")).not_to_contain_text(before[0])
        visitor.settle()
        return visitor.figures

    edited = edit("The tired horse sees the old dog.")
    hosted.proxy.stop()
    expect(page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]")).to_have_count(0)
    hosted.proxy.start()
    expect(page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]")).to_have_count(1, timeout=60_000)
    # What stood there stands there, and the same session answers.
    expect(sentence).to_have_value("The tired horse sees the old dog.")
    assert visitor.figures == edited
    edit("The happy bird sees the old dog.")
    page.go_back()
    expect(sentence).to_have_value("The tired horse sees the old dog.")


def test_the_app_itself_refuses_another_origin_and_another_host_and_asks_nobody_who_it_is(hosted):
    own = f"localhost:{hosted.app_port}"

    def answered(origin: str, host: str = own) -> int:
        with socket.create_connection(("127.0.0.1", hosted.app_port), 60) as plain:
            try:
                with connect(f"ws://{host}/_stcore/stream", sock=plain, origin=origin, subprotocols=["streamlit"]):
                    return 101
            except InvalidStatus as refused:
                return refused.response.status_code

    for origin in ("http://evil.example", "null", "https://8.8.8.8", "http://localhost.evil.example"):
        assert answered(origin) == 403
    assert answered("http://evil.example", host="evil.example") == 403
    assert answered(f"http://{own}") == 101
    assert hosted.called == []


def test_a_message_of_more_than_a_megabyte_ends_the_connection_and_no_other(hosted):
    def sent(size: int) -> int | None:
        """The code with which the server ended the connection, None where it goes on."""
        message = BackMsg()
        message.rerun_script.query_string = "a" * size
        message.rerun_script.page_name = "models"
        at = f"localhost:{hosted.proxy.port}"
        options = {"subprotocols": ["streamlit"], "origin": f"http://{at}", "max_size": None, "close_timeout": 0.1}
        with connect(f"ws://{at}/_stcore/stream", **options) as own:
            own.send(message.SerializeToString())
            try:
                own.recv(timeout=60)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006
        return None

    assert sent(1_100_000) == 1009
    assert sent(900_000) is None


def test_a_host_is_told_whether_questions_are_answered(hosted):
    # Not while torch is being imported.
    while (answer := httpx.get(f"http://localhost:{hosted.app_port}/readyz", timeout=60)).status_code == 503:
        assert answer.text == "the worker does not answer"
    assert (answer.status_code, answer.text) == (200, "ready")
    assert httpx.get(f"http://localhost:{hosted.proxy.port}/readyz").status_code == 404


def test_a_server_with_its_defaults_calls_nobody_and_writes_to_its_one_volume(hosted):
    async def visited(url: str, sentence: str) -> None:
        async with Visit.visit(url, sentence=sentence) as visit:
            await visit.until(lambda visit: bool(visit.charts))

    # In a thread of its own: a browser's tests before it in this process leave theirs with a loop that runs.
    with ThreadPoolExecutor(1) as own:
        url = f"http://localhost:{hosted.proxy.port}/"
        own.submit(asyncio.run, visited(url, "The happy bird sees the old dog.")).result()
    assert hosted.called == []
    folder = hosted.notes.parent
    volume, temporary = folder / "home/.cache", folder / "temporary"
    beside = {path for path in hosted.wrote if not (path.is_relative_to(volume) or path.is_relative_to(temporary))}
    # Torch has its temporary folder where others have theirs by default.
    beside = {path for path in beside if not path.name.startswith("torchinductor_")}
    assert beside - {Path(os.devnull), volume.parent} == set()
    assert any(path.is_relative_to(volume) for path in hosted.wrote)


def test_a_call_and_a_written_file_would_be_noted(tmp_path):
    acts = """import socket, sys
sys.audit("socket.connect", None, ("192.0.2.1", 80))
sys.audit("socket.getaddrinfo", "example.org", 80, 0, 0, 0)
sys.audit("socket.connect", None, ("127.0.0.1", 80))
open(sys.argv[1], "w").close()
open(sys.argv[1]).close()"""
    notes, made = tmp_path / "notes", tmp_path / "made"
    environment = {**os.environ, "PYTHONPATH": str(WATCHED), "NOTES": str(notes)}
    subprocess.run([sys.executable, "-c", acts, made], env=environment, cwd=ROOT, check=True)
    assert notes.read_text().splitlines() == ["called ('192.0.2.1', 80)", "called example.org", f"wrote {made}"]


def test_told_to_end_within_a_sweep_the_server_ends_with_status_0_and_the_proxy_says_so(hosted):
    """The last test of this server. That the sweep goes on with the missing cells, tests.cache shows."""
    told = f"http://localhost:{hosted.app_port}/metrics"
    long = f"The quick fox runs over the dog, {'a small cat and ' * 60}a big bird."

    async def in_a_sweep() -> int:
        async with Visit.visit(f"http://localhost:{hosted.proxy.port}/", page="patching", sentence=long):
            async with httpx.AsyncClient(timeout=60) as client:
                text = ""
                while not (re.search(r'rephrase_questions_total{.*"sweep"', text) and re.search("running [1-9]", text)):
                    text = (await client.get(told)).text
            os.kill(hosted.app.pid, signal.SIGTERM)
            return (await asyncio.to_thread(os.waitid, os.P_PID, hosted.app.pid, os.WEXITED | os.WNOWAIT)).si_status

    with ThreadPoolExecutor(1) as own:
        assert own.submit(asyncio.run, in_a_sweep()).result() == 0
    assert httpx.get(f"http://localhost:{hosted.proxy.port}/").status_code == 503
