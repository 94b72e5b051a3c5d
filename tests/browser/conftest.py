"""One server and one Chromium for all browser tests; for each test a viewer whom the app has never seen.

Every page must stay free of console errors and of requests to another host, and the server's log free of tracebacks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.browser.server import Server, server

# Counts the runs that a tab has begun, and those of a whole page that have ended in order. A state that passes in a
# moment may be over before it is looked for; and a run that follows on one that it has ended begins no state, but both
# are told to have ended, in a message whose field 6 says how (0: in order) and whose field 2.6.2 names fragments.
# told: how many of these have come; ended: how many of them the page has taken in.
RUNS = """
window.runs = window.told = window.ended = 0;
new MutationObserver((changes) => {
  window.runs += changes.filter((change) => change.oldValue === "notRunning").length;
}).observe(document, {subtree: true, attributeFilter: ["data-test-script-state"], attributeOldValue: true});
{
  const fields = (bytes) => {
    const found = {};
    let at = 0;
    const number = () => {
      let value = 0, factor = 1, byte;
      do { byte = bytes[at++]; value += (byte & 127) * factor; factor *= 128; } while (byte > 127);
      return value;
    };
    while (at < bytes.length) {
      const tag = number(), length = [undefined, 8, undefined, , , 4][tag % 8];
      if (tag % 8 === 0) { found[tag >> 3] = number(); continue; }
      const size = length ?? number();
      found[tag >> 3] = bytes.subarray(at, at += size);
    }
    return found;
  };
  const part = (message, number) => fields(message[number] ?? new Uint8Array());
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      super.addEventListener("message", ({data}) => {
        const message = fields(new Uint8Array(data));
        if (message[6] !== 0 || part(part(message, 2), 6)[2]) return;
        const number = window.told += 1;
        setTimeout(() => requestAnimationFrame(() => { window.ended = number; }));
      });
    }
  };
}
"""


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Server:
    with server(tmp_path_factory.mktemp("server") / "log") as running:
        yield running


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the server said."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        if "app" in item.funcargs:
            report.sections.append(("log of the app's server", item.funcargs["app"].log.read_text()[-4000:]))
    return report


def new_tab(context: BrowserContext) -> Page:
    page = context.new_page()
    page.add_init_script(RUNS)
    return page


class Tabs:
    """Tabs that one test leaves to the next: in a new one Chromium reads and compiles all of the app's scripts anew,
    which takes longer than to draw a page. Nothing that an earlier viewer did is left in one.
    """

    PAGES = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}  # what may change within a context

    def __init__(self, chromium: Browser, resting: str):
        """resting: a page without a script, on the app's host, where tabs wait and the process of the app's stays."""
        self._chromium, self._resting = chromium, resting
        self._waiting: defaultdict[str, list[Page]] = defaultdict(list)

    def take(self, **options) -> Page:
        """A tab with a context of its own, as such options make it."""
        looks = {name: options.get(name, usual) for name, usual in self.PAGES.items()}
        of = self._of(options)
        if not self._waiting[of]:
            return new_tab(self._chromium.new_context(**{**options, **looks}))
        page = self._waiting[of].pop()
        page.set_viewport_size(looks["viewport"])
        page.emulate_media(color_scheme=looks["color_scheme"])
        return page

    def give(self, page: Page, origin: str, **options) -> None:
        """Leave the page, and forget what it kept."""
        try:
            page.goto(self._resting)
            page.mouse.move(0, 0)
            page.context.new_cdp_session(page).send(
                "Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"}
            )
            page.context.clear_cookies()
        except Error:
            page.context.close()
        else:
            self._waiting[self._of(options)].append(page)

    def _of(self, options: dict) -> str:
        """What all tabs of one kind of context have in common."""
        return str(sorted((name, value) for name, value in options.items() if name not in self.PAGES))


class Viewer:
    """A tab of the app and what a viewer does in it."""

    def __init__(self, page: Page, url: str, **options):
        """page: of `new_tab`; options: of its context."""
        self.page, self.url, self.options = page, url, options
        self.complaints: list[str] = []
        self.marked = False
        page.set_default_timeout(30_000)
        self._listeners = {"console": self._console, "pageerror": self._error, "request": self._request}
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def leave(self) -> None:
        """Watch the tab no longer."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def run_first(self, script: str) -> None:
        """Have a script run before those of each page. Such a tab is of no use to another viewer."""
        self.marked = True
        self.page.add_init_script(script)

    def _error(self, error) -> None:
        self.complaints.append(f"page error: {error}")

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
        # A run that goes on, or whose end has come and is not taken in yet, is not this one's.
        self.settle()
        box = self.page.get_by_label(label, exact=True).first
        before = self.page.evaluate("[window.runs, window.told]")
        changed = box.input_value() != text
        box.fill(text)
        box.press("Enter")
        expect(self.page.get_by_label(label, exact=True).first).to_have_value(text)
        if changed:
            self.page.wait_for_function("([runs, told]) => window.runs > runs || window.ended > told", arg=before)
        self.settle()


@pytest.fixture(scope="session")
def tabs(app, chromium) -> Tabs:
    return Tabs(chromium, f"{app.url}_stcore/health")


@pytest.fixture
def viewer_of(app, tabs, request):
    """options of a browser context → a new viewer; each must end without complaints."""
    viewers, logs = [], set()

    def make(server: Server = app, **options) -> Viewer:
        logs.add(server.log)
        viewers.append(Viewer(tabs.take(**options), server.url, **options))
        return viewers[-1]

    yield make
    complaints = [complaint for viewer in viewers for complaint in viewer.complaints]
    clean = not complaints and not request.node.stash.get(FAILED, False)
    for viewer in viewers:
        viewer.leave()
        if clean and not viewer.marked:
            tabs.give(viewer.page, viewer.url, **viewer.options)
        else:
            viewer.page.context.close()
    assert not complaints
    for log in logs:
        assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def viewer(viewer_of) -> Viewer:
    return viewer_of()
