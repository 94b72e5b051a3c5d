"""Ten edits as in a talk, one in the middle of a computation, one that is refused, an undo, a comparison: each screen
shows the right numbers, nothing that is not of the prompt on screen goes undimmed, and nothing jumps.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from cache.service import Service
from core.experiment import Experiment
from core.models.pairs import REAL, lacking, registry
from core.settings import Settings
from core.wording import signed
from tests.browser.server import server
from tests.browser.test_access import SHIFTS, drawn
from tests.browser.test_compare import shown
from tests.browser.test_prompt_bar import box, placed
from tests.browser.test_stage import press

PAIR = "tiny" if lacking(registry()[REAL]) else REAL
START = Experiment(pair=PAIR)
BOAT = replace(START, sentence="The small boat crossed the dangerous river.", original="small")
# Whether the finding and its figure are dimmed.
OPACITY = "() => getComputedStyle(document.querySelector('.st-key-figures_overview')).opacity"


@pytest.fixture(scope="module")
def apart():
    """experiment → its logit differences and gap as a page writes them, computed by a service of its own."""
    on = Service(Settings())

    def summary(experiment: Experiment):
        job = on.ask("overview", experiment, "me")
        assert job.wait(300) and job.state == "done", job.error
        return job.result.summary

    yield summary
    assert on.worker.stop()


def stands(viewer, apart, experiment: Experiment) -> None:
    """Expect the prompt with its numbers, undimmed."""
    found = apart(experiment)
    base, instruct = map(float, found.logit_diff)
    for number in (base, instruct, found.gap):
        expect(viewer.page.locator(".st-key-finding")).to_contain_text(signed(number), timeout=120_000)
    viewer.settle()
    assert viewer.figures == [signed(number) for number in (base, instruct, found.gap)]
    expect(box(viewer, "Original word")).to_have_value(experiment.original)
    viewer.page.wait_for_function(f"({OPACITY})() === '1'")
    heights = "() => [...document.querySelector('.st-key-summary .js-plotly-plot').data[0].x]"
    assert viewer.page.evaluate(heights) == pytest.approx([base, instruct], abs=1e-3)


def enter(viewer, label: str, text: str) -> None:
    """Type and press Enter, and wait for nothing."""
    box(viewer, label).fill(text)
    box(viewer, label).press("Enter")


def shifted(viewer) -> list[list]:
    """What has moved since this was last asked: how far, and each part's place before and after."""
    return viewer.page.evaluate("window.shifts.splice(0)")


def by(height: float, shift: list) -> bool:
    """Whether a part has moved down or up by just so much."""
    places = (re.findall(r": ([\d.]+) \+ .* -> ([\d.]+) \+", part)[0] for part in shift[1:])
    return any(abs(abs(float(after) - float(before)) - height) < 1 for before, after in places)


def high(viewer) -> float:
    return viewer.page.locator(".st-key-prompt_bar").bounding_box()["height"]


def test_ten_edits_as_in_a_talk(tmp_path, viewer_of, apart):
    with server(tmp_path / "log", REPHRASE_PAIR=PAIR) as stage:
        viewer = viewer_of(stage, viewport={"width": 1280, "height": 720})
        viewer.open()
        placed(viewer)
        drawn(viewer, 2)
        stands(viewer, apart, START)
        viewer.page.evaluate(SHIFTS)

        # 1: a sentence of one's own; 2: another word of it; 3: an answer; 4: another task.
        viewer.type("Sentence", BOAT.sentence)
        viewer.type("Original word", "small")
        stands(viewer, apart, BOAT)
        viewer.type("Original word", "dangerous")
        dangerous = replace(BOAT, original="dangerous")
        stands(viewer, apart, dangerous)
        viewer.type("Answer: the replacement", "risky")
        risky = replace(dangerous, answer="risky")
        stands(viewer, apart, risky)
        viewer.type("Instruction", "Repeat the following sentence")
        repeated = replace(risky, instruction="Repeat the following sentence")
        stands(viewer, apart, repeated)

        # 5 and 6, in the middle of its computation: the later one counts.
        enter(viewer, "Sentence", "The old dog crossed the dangerous street in the quiet town.")
        enter(viewer, "Sentence", "The old dog crossed the dangerous bridge.")
        bridge = replace(repeated, sentence="The old dog crossed the dangerous bridge.")
        expect(viewer.page).to_have_url(re.compile("bridge"))
        stands(viewer, apart, bridge)

        shifts, height = shifted(viewer), high(viewer)

        # 7: refused; the figures of before stay, dimmed.
        viewer.type("Answer: the replacement", "risky-looking")
        viewer.told("tokens:")
        expect(viewer.page.locator(".st-key-finding")).to_contain_text(signed(apart(bridge).gap))
        viewer.page.wait_for_function(f"({OPACITY})() === '0.45'")

        viewer.settle()
        # A message takes a line of the bar. That is one's own doing, and counts as a shift only where it comes or goes
        # so late that the browser no longer takes it for that.
        message = high(viewer) - height

        # 8: an undo.
        press(viewer, "u")
        stands(viewer, apart, bridge)
        shifts += [shift for shift in shifted(viewer) if not by(message, shift)]

        # 9: back to the post's prompt by its key.
        press(viewer, "1")
        expect(box(viewer, "Sentence")).to_have_value(START.sentence)
        stands(viewer, apart, START)

        # 10: kept as A, and B beside it.
        press(viewer, "c")
        expect(viewer.page.locator(".st-key-compare_bar")).to_be_visible()
        viewer.settle()
        viewer.type("Instruction", "Repeat the following sentence")
        a, b = (apart(each) for each in (START, replace(START, instruction="Repeat the following sentence")))
        shown(viewer, *([*map(float, each.logit_diff), each.gap] for each in (a, b)))

        shifts += shifted(viewer)
        assert sum(value for value, *_ in shifts) <= 0.1, json.dumps(shifts, indent=1)
