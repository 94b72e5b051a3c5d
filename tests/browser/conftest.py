"""One server and one Chromium for all browser tests; a fresh context, and so a fresh viewer, for each test.

Every page must stay free of console errors and of requests to another host, and the server's log free of tracebacks.
"""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.server import Server, server

expect.set_options(timeout=30_000)
# Counts the runs that a tab asks for: a state that passes in a moment may be over before it is looked for.
RUNS = """
window.runs = 0;
new MutationObserver((changes) => {
  window.runs += changes.filter((change) => change.oldValue === "notRunning").length;
}).observe(document, {subtree: true, attributeFilter: ["data-test-script-state"], attributeOldValue: true});
"""


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Server:
    with server(tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the server said."""
    report = yield
    if report.failed and "app" in item.funcargs:
        report.sections.append(("log of the app's server", item.funcargs["app"].log.read_text()[-4000:]))
    return report


class Viewer:
    """A tab of the app and what a viewer does in it."""

    def __init__(self, page: Page, url: str):
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.set_default_timeout(30_000)
        page.add_init_script(RUNS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws"), "data:", "blob:")):
            self.complaints.append(f"request to another host: {request.url}")

    def open(self, path: str = "", **parameters: str) -> "Viewer":
        self.page.goto(f"{self.url}{path}{'?' + urlencode(parameters) if parameters else ''}")
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until no script runs and no job is watched."""
        running = "[data-testid=stApp][data-test-script-state=notRunning]"
        self.page.wait_for_selector(running)
        expect(self.status).to_contain_text(re.compile("check_circle|error"), timeout=60_000)
        self.page.wait_for_selector(running)
        # A component that fails is told on the page alone.
        expect(self.page.get_by_text("BidiComponent Error")).to_have_count(0)

    @property
    def status(self):
        return self.page.locator(".st-key-status")

    @property
    def figures(self) -> list[str]:
        """The logit differences in Explore's finding as they stand: BASE, INSTRUCT, gap."""
        finding = self.page.locator(".st-key-finding")
        expect(finding).to_contain_text("the logit difference by")
        return re.findall(r"[+−]?\d+\.\d\d\b", finding.inner_text())

    def told(self, text: str) -> None:
        """Expect a visible message that holds the text."""
        expect(self.page.locator("[data-testid=stAlert]").filter(has_text=text).first).to_be_visible()

    def settings(self) -> None:
        """Open the settings, where they are closed."""
        inside = self.page.locator(".st-key-input_dtype")
        if not inside.is_visible():
            self.page.locator(".st-key-settings button").first.click()
        expect(inside).to_be_visible()

    def type(self, label: str, text: str) -> None:
        """Type into a field of the prompt bar and press Enter."""
        box = self.page.get_by_label(label, exact=True).first
        runs = self.page.evaluate("window.runs")
        changed = box.input_value() != text
        box.fill(text)
        box.press("Enter")
        expect(self.page.get_by_label(label, exact=True).first).to_have_value(text)
        if changed:
            # Where a run was under way already, none begins: the edit joins it.
            with suppress(TimeoutError):
                self.page.wait_for_function("before => window.runs > before", arg=runs, timeout=2000)
        self.settle()


@pytest.fixture
def viewer_of(app, chromium):
    """options of a browser context → a new viewer; each must end without complaints."""
    contexts, viewers, logs = [], [], set()

    def make(server: Server = app, **options) -> Viewer:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        logs.add(server.log)
        viewers.append(Viewer(context.new_page(), server.url))
        return viewers[-1]

    yield make
    complaints = [complaint for viewer in viewers for complaint in viewer.complaints]
    for context in contexts:
        context.close()
    assert not complaints
    for log in logs:
        assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def viewer(viewer_of) -> Viewer:
    return viewer_of()
