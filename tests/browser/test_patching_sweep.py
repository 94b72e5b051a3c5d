"""A sweep on the Patching page: the map that fills, and what ends it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.server import Server, server
from tests.browser.test_patching import line
from tests.random_llama import random_llama
from tests.random_models import fine_tuned
from tests.random_tokenizers import byte_level

MAP = ".st-key-patching .js-plotly-plot"
# Of a map's plot: the exact values by "row,column"; estimates are those with a dot.
EXACT = """plot => {
  if (!plot?.data) return '{}';
  const dots = plot.data.filter(t => t.type === 'scatter' && t.marker.symbol === 'circle' && t.x[0] !== null);
  const estimated = new Set(dots.flatMap(t => t.x.map((x, i) => `${t.y[i]},${x}`)));
  const cells = plot.data[0].z.flatMap((row, r) => row.map((value, c) => [`${r},${c}`, value]));
  return JSON.stringify(Object.fromEntries(cells.filter(([at, value]) => value !== null && !estimated.has(at))));
}"""
LONG = "The quick fox jumps over the dog, a small cat, a big bird, the old dog, a little cat and the large fox."


@pytest.fixture(scope="module")
def big_pair(tmp_path_factory) -> dict[str, str]:
    """16 layers of 16 heads, as the address names them, and narrow: on the long sentence a sweep takes many chunks."""
    folder = tmp_path_factory.mktemp("pair")
    base = random_llama(layers=16, heads=16, d_model=64, d_mlp=128)
    for name, model in (("base", base), ("instruct", fine_tuned(base, size=0.2 / 16))):
        model.save_pretrained(folder / name)
        byte_level().save_pretrained(folder / name)
    models = {name: str(folder / name) for name in ("base", "instruct")}
    # A section that computes nothing by itself, and a search that looks once at every head.
    return {"pair": "", **models, "answer": "swift", "show": "effect", "part": "set", "steps": "1"}


@pytest.fixture(scope="module")
def hold(tmp_path_factory) -> Path:
    """While this file exists, sweeps of the server below wait after each chunk."""
    return tmp_path_factory.mktemp("hold") / "hold"


@pytest.fixture(scope="module")
def holding(hold) -> Iterator[Server]:
    with server(hold.parent / "log", "tests.browser.held", HOLD=str(hold)) as running:
        yield running


@pytest.fixture
def sentence(request) -> str:
    """Of each test its own, so that no sweep's result is there already."""
    return f"{LONG[:-1]} and the {request.node.name}."


@pytest.fixture
def held(viewer_of, holding, hold, big_pair, sentence) -> Iterator[Viewer]:
    """A viewer of a sweep that is held after its first chunk: some cells of the map are exact, and most are not."""
    hold.touch()
    viewer = viewer_of(holding)
    viewer.page.goto(f"{viewer.url}patching?{urlencode({**big_pair, 'sentence': sentence})}")
    expect(line(viewer)).to_contain_text(re.compile(r"\b[1-9]\d* of 256 exact, deepest"), timeout=120_000)
    viewer.page.wait_for_function(f"() => ({EXACT})(document.querySelector('{MAP}')) !== '{{}}'")
    yield viewer
    hold.unlink(missing_ok=True)


@dataclass(frozen=True)
class Map:
    """What the map on screen holds: exact values by (row, column)."""

    exact: dict[tuple[int, int], float]

    def agrees_with(self, other: Map) -> bool:
        return all(abs(self.exact[cell] - other.exact[cell]) < 1e-9 for cell in self.exact.keys() & other.exact.keys())


def map_of(viewer) -> Map:
    """Empty while no figure is drawn."""
    exact = json.loads(viewer.page.locator(MAP).first.evaluate(EXACT))
    return Map({tuple(map(int, cell.split(","))): value for cell, value in exact.items()})


def done(viewer) -> int:
    """How many cells the line counts as exact."""
    return int(re.search(r"(\d+) of 256 exact", line(viewer).inner_text())[1])


def test_an_edit_ends_the_sweep_and_no_figure_mixes_two_prompts(held, hold, sentence):
    before = map_of(held)
    assert 0 < len(before.exact) < 256
    box = held.page.get_by_label("Sentence", exact=True).first
    box.fill("The quick fox jumps.")
    box.press("Enter")
    # The edit is taken; then the board of the old prompt has ended.
    expect(held.page).to_have_url(re.compile(r"sentence=The\+quick\+fox\+jumps\."))
    expect(line(held).get_by_role("button", name="Cancel")).to_be_disabled()
    hold.unlink()
    seen = []
    finished = line(held).get_by_text("all 256 exact")
    for _ in range(1200):
        if finished.count():
            break
        seen.append(map_of(held))
        held.page.wait_for_timeout(100)
    held.settle()
    after = map_of(held)
    assert len(after.exact) == 256 and not before.agrees_with(after)
    assert all(map_.agrees_with(before) or map_.agrees_with(after) for map_ in seen)
    # Had the old sweep gone on, it would have been finished before the new one began, and its result kept.
    hold.touch()
    held.page.go_back()
    expect(held.page.get_by_label("Sentence", exact=True).first).to_have_value(sentence)
    expect(line(held)).to_contain_text(re.compile(r"\d+ of 256 exact, (waiting|deepest)"))


def test_a_cancelled_sweep_ends_with_its_chunk_keeps_what_has_run_and_can_be_run_again(held, hold):
    ran = done(held)
    line(held).get_by_role("button", name="Cancel").click()
    expect(line(held)).to_contain_text("stopping")
    expect(line(held).get_by_role("button", name="Cancel")).to_be_disabled()
    hold.unlink()
    expect(line(held)).to_contain_text(f"cancelled with {ran} of 256 exact")
    held.settle()
    assert len(map_of(held).exact) == ran
    line(held).get_by_role("button", name="Run again").click()
    expect(line(held)).to_contain_text("all 256 exact", timeout=120_000)
    held.settle()
    assert len(map_of(held).exact) == 256


def test_cancel_ends_what_a_section_asked_for_too(held, hold):
    held.page.locator(".st-key-input_part").get_by_text("Greedy circuit", exact=True).click()
    section = held.page.locator(".st-key-section")
    expect(section).to_contain_text("Heads in the circuit")
    # A click into a run that is under way can be lost with the fragment that it was meant for.
    held.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    line(held).get_by_role("button", name="Cancel").click()
    expect(line(held)).to_contain_text("stopping")
    hold.unlink()
    expect(line(held)).to_contain_text("cancelled with")
    expect(line(held).get_by_role("button", name="Run again")).to_be_enabled()
    held.settle()
    expect(section).to_contain_text("not all of it has been computed")
    line(held).get_by_role("button", name="Run again").click()
    expect(section).to_contain_text("all exact", timeout=120_000)
    expect(line(held)).to_contain_text("all 256 exact")


def test_choosing_another_colon_ends_no_sweep_and_begins_none(held, hold):
    held.settings()
    held.page.locator(".st-key-input_colon").get_by_text("second").first.click()
    expect(held.page).to_have_url(re.compile("colon=1"))
    # The sweep that is held goes on to its end; one that began now would be held after its first chunk.
    hold.unlink()
    hold.touch()
    expect(line(held)).to_contain_text("all 256 exact", timeout=120_000)


def test_a_map_keeps_its_place_and_height_while_it_fills(held, hold):
    chart = held.page.locator(".st-key-patching")

    def place() -> tuple[float, float, float]:
        """Below the line, and its size."""
        # While a figure is replaced, both are there for a moment.
        expect(chart).to_have_count(1)
        box, above = chart.bounding_box(), line(held).bounding_box()
        return box["y"] - above["y"], box["width"], box["height"]

    filling = place()
    hold.unlink()
    expect(line(held)).to_contain_text("all 256 exact", timeout=120_000)
    held.settle()
    assert place() == filling
