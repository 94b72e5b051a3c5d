"""No message is named to a browser that has dropped it by then."""

from __future__ import annotations

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed

from pages.shared import known
from pages.shared.known import Came, name

AGE = 2  # runs that a browser keeps what does not come


class Browser:
    """Keeps and drops messages as Streamlit's front end does; refuses one that is named and not there."""

    def __init__(self) -> None:
        self.runs, self.kept, self.of_line = 0, dict[str, int](), set[str]()
        self.ticks = False
        self.came, self.whole = Came(), list[str]()

    def get(self, message: ForwardMsg) -> None:
        message = self.came.take(message)
        if message.WhichOneof("type") == "new_session":
            self.ticks = bool(message.metadata.run.fragment_ids)
        if message.WhichOneof("type") == "script_finished":
            if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self.runs += 1
                # The end of a fragment counts for all, and drops its own alone.
                stays = self.kept.keys() - self.of_line if self.ticks else set()
                self.kept = {key: n for key, n in self.kept.items() if key in stays or self.runs - n <= AGE}
        elif message.WhichOneof("type") == "ref_hash":
            assert message.ref_hash in self.kept, "named, and not there"
            self.kept[message.ref_hash] = self.runs
        elif message.metadata.cacheable:
            self.whole.append(message.delta.new_element.markdown.body)
            self.kept[message.hash] = self.runs
            if message.delta.fragment_id:
                self.of_line.add(message.hash)

    def run(
        self, *texts: str, claims: set[str] | None = None, ends: int = ForwardMsg.FINISHED_SUCCESSFULLY, line: str = ""
    ) -> None:
        """A run that draws these; claims: what the browser has said to have, by default what it has at the begin. line:
        what a fragment draws in it."""
        claims = set(self.kept) if claims is None else claims
        self.get(ForwardMsg(new_session={}))
        for drawn in [element(text) for text in texts] + ([element(line, "line")] if line else []):
            self.get(name(drawn) if drawn.hash in claims else drawn)
        self.get(ForwardMsg(script_finished=ends))

    def tick(self, line: str) -> None:
        """A run of the fragment alone."""
        begun = ForwardMsg(new_session={})
        begun.metadata.run.fragment_ids[:] = ["line"]
        self.get(begun)
        self.get(element(line, "line"))
        self.get(ForwardMsg(script_finished=ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY))


def element(text: str, fragment: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.delta.new_element.markdown.body = text
    message.delta.fragment_id = fragment
    message.metadata.delta_path[:] = [0, 0]
    populate_hash_if_needed(message)
    message.metadata.cacheable = True
    return message


@pytest.mark.parametrize("between", [1, 2, 3])
def test_what_was_dropped_when_a_run_ended_comes_again_to_who_went_back_to_it_in_that_moment(between):
    browser = Browser()
    browser.run("script", "one")
    for n in range(between):
        claims = set(browser.kept)
        browser.run("script", f"other {n}")
    # The edit was on its way while the last run ended.
    browser.run("script", "one", claims=claims | {element("one").hash})
    assert browser.whole == ["script", "one", *(f"other {n}" for n in range(between)), "one"]


def test_what_came_in_the_run_before_is_not_sent_again():
    browser = Browser()
    for _ in range(4):
        browser.run("script", "one")
    assert browser.whole == ["script", "one"]


def test_runs_that_were_cut_short_cost_nothing():
    browser = Browser()
    browser.run("script", "style")
    for _ in range(4):
        browser.run("script", ends=ForwardMsg.FINISHED_EARLY_FOR_RERUN)
    browser.run("script", "style")
    assert browser.whole == ["script", "style"]


def test_a_line_that_a_fragment_has_replaced_since_comes_again_to_who_asked_for_it_in_that_moment():
    browser = Browser()
    for _ in range(2):
        browser.run("script", line="waiting")
    claims = set(browser.kept)
    for n in range(AGE + 1):
        browser.tick(f"{n} of 3")
    browser.run("script", line="waiting", claims=claims)
    assert browser.whole[-1] == "waiting"


def test_what_was_sent_is_not_held_on_to():
    browser = Browser()
    for n in range(3):
        browser.run("script", f"other {n}", claims={element(text).hash for text in ("script", f"other {n}")})
    assert not known._named
