"""The Patching page, as a viewer meets it: the map that fills, what ends it, and what it says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.server import Server, server
from tests.random_llama import random_llama
from tests.random_models import fine_tuned
from tests.random_tokenizers import byte_level

NEGATIVE = {"prompt": "Rephrased sentence: The", "original": " swift", "answer": " quick"}
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


def line(viewer):
    return viewer.page.locator(".st-key-sweep_progress")


def done(viewer) -> int:
    """How many cells the line counts as exact."""
    return int(re.search(r"(\d+) of 256 exact", line(viewer).inner_text())[1])


def cell_of(chart, column: int, row: int) -> list[float]:
    chart.scroll_into_view_if_needed()
    return chart.evaluate(
        """(plot, [column, row]) => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.l2p(column), box.y + yaxis._offset + yaxis.l2p(row)];
        }""",
        [column, row],
    )


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


def test_direction_site_positions_and_section_are_in_the_address(viewer):
    viewer.open("patching", direction="base_to_instruct", site="v", positions="end", show="effect", part="positions")
    page = viewer.page
    expect(page.locator(".st-key-patching")).to_contain_text("Value patch of a KV group (v)")
    expect(page.locator(".st-key-position_map")).to_be_visible()
    more(viewer)
    for key, chosen in (("direction", "BASE → INSTRUCT"), ("positions", "END only"), ("show", "effect")):
        expect(page.locator(f".st-key-input_{key} [aria-checked=true]")).to_have_text(chosen)
    page.locator(".st-key-input_positions").get_by_text("all").click()
    expect(page).not_to_have_url(re.compile("positions="))
    expect(page).to_have_url(re.compile("site=v"))
    viewer.settle()
    page.keyboard.press("Escape")
    page.locator(".st-key-input_direction").get_by_text("INSTRUCT → BASE").click()
    expect(page).not_to_have_url(re.compile("direction="))


def more(viewer) -> None:
    """Open what is asked for more rarely."""
    viewer.page.get_by_role("button", name="More").click()


def test_an_activation_that_is_asked_for_rarely_is_chosen_under_more_and_left_again(viewer):
    viewer.open("patching")
    more(viewer)
    others = viewer.page.locator(".st-key-input_advanced_site")
    others.get_by_text("queries of one head").click()
    expect(viewer.page).to_have_url(re.compile("site=q"))
    viewer.settle()
    expect(viewer.page.locator(".st-key-patching")).to_contain_text("Queries of one head (q)")
    expect(viewer.page.get_by_label("Patched activation")).to_have_value("queries of one head (q)")
    viewer.settle()
    others.get_by_text("queries of one head").click()
    expect(viewer.page).not_to_have_url(re.compile("site="))


def test_a_clicked_cell_chooses_its_head_on_every_page(viewer):
    viewer.open("patching")
    chart = viewer.page.locator(".st-key-patching .js-plotly-plot")
    panel = viewer.page.locator(".st-key-chosen_head")
    before = furthest(viewer)
    expect(panel).to_contain_text("Chosen because its output, patched alone")
    cell = cell_of(chart, column=2, row=1)
    viewer.page.mouse.move(*cell)
    viewer.page.mouse.click(*cell)
    expect(viewer.page).to_have_url(re.compile("head=L1H2"))
    # There and then, beside the map.
    expect(panel).to_contain_text("L1H2 looks")
    expect(panel).to_contain_text("its output moves")
    expect(panel).not_to_contain_text(before)
    expect(panel).not_to_contain_text("Chosen because")
    assert panel.bounding_box()["y"] - chart.bounding_box()["y"] < 50
    panel.get_by_role("link", name="Everything about L1H2").click()
    expect(viewer.page.get_by_role("heading", name="What does L1H2 do?")).to_be_visible()
    viewer.page.get_by_role("link", name="Attribution").click()
    expect(viewer.page.locator(".st-key-chosen_head")).to_contain_text("L1H2")


def furthest(viewer) -> str:
    """The first row of the table."""
    with viewer.page.expect_download() as download:
        viewer.page.locator(".st-key-csv_top_patching_heads button").click()
    return download.value.path().read_text().splitlines()[1].split(",")[0]


def test_where_nobody_has_chosen_every_page_shows_the_head_that_patches_furthest(viewer):
    viewer.open("patching")
    best = furthest(viewer)
    shown = viewer.page.locator(".st-key-head_title, .st-key-chosen_head, .st-key-head_numbers").first
    for page in ("Head", "Attention", "Origin", "Attribution", "Patching"):
        viewer.page.get_by_role("link", name=page, exact=True).click()
        expect(shown).to_contain_text(best)
        expect(viewer.page.get_by_text("Chosen because its output, patched alone, moves BASE furthest")).to_be_visible()
        viewer.settle()
        assert "head=" not in viewer.page.url


def test_the_circuit_and_the_selected_rows_become_the_set(viewer):
    viewer.open("patching", part="greedy", steps="2")
    button = viewer.page.locator(".st-key-greedy_as_set").get_by_role("button", name="Use as set")
    expect(button).to_be_enabled()
    viewer.settle()
    button.click()
    expect(viewer.page).to_have_url(re.compile("part=set"))
    circuit = re.search(r"heads=([^&]+)", unquote(viewer.page.url))[1].split(",")
    assert len(circuit) == 2
    chosen = viewer.page.locator("[class*=st-key-input_heads] input")
    # The address is there before the box is.
    expect(chosen).to_have_value(re.compile(rf"^{circuit[0]}\s+{circuit[1]}$|^{circuit[1]}\s+{circuit[0]}$"))
    viewer.settle()
    expect(viewer.page.locator(".st-key-table_as_set").get_by_role("button", name="Use as set")).to_be_disabled()


def test_a_typed_set_that_names_no_heads_is_told_beside_its_input_and_a_good_one_gets_its_card(viewer):
    viewer.open("patching", part="card")
    viewer.told("Type heads")
    box = viewer.page.locator("[class*=st-key-input_heads] input")
    box.fill("L0H1 L9H2")
    box.press("Enter")
    viewer.told("There is no L9H2; layers go from 0 to 3, heads from 0 to 7.")
    expect(box).to_have_value("L0H1 L9H2")
    box.fill("L2H6, l0h1")
    box.press("Enter")
    expect(viewer.page.locator(".st-key-card_finding")).to_contain_text("These 2 heads together move BASE")
    expect(viewer.page).to_have_url(re.compile("heads=L0H1%2CL2H6"))
    expect(viewer.page.locator(".st-key-section")).to_contain_text("all exact")
    viewer.settle()
    with viewer.page.expect_download() as download:
        viewer.page.locator(".st-key-json_card button").first.click()
    found = json.loads(download.value.path().read_text())
    assert found["card"]["members"] == ["L0H1", "L2H6"] and found["manifest"]["answer"]["token"] == " swift"
    assert download.value.suggested_filename.endswith(".json")


def test_a_set_follows_the_site_from_heads_to_their_groups(viewer):
    viewer.open("patching", part="set", site="v", heads="L0H1,L2H6")
    expect(viewer.page.locator("[class*=st-key-input_heads] input")).to_have_value("L0KV0 L2KV3")
    expect(viewer.page.locator(".st-key-below_set")).to_be_visible()


def test_every_section_shows_its_figures_and_gives_their_data(viewer):
    viewer.open("patching", heads="L0H1,L2H6", head="L2H6")
    sections = {
        "Direct against total": ("direct_total",),
        "Value against output": ("as_in_the_post", "like_with_like"),
        "KV groups": ("kv_groups",),
        "Pairs": ("pairs",),
        "Greedy circuit": ("greedy",),
        "A set of heads": ("set",),
        "Circuit card": ("card", "minimality", "recovery"),
        "Layer × position": ("position_map",),
        "Estimate": ("estimate",),
    }
    for title, keys in sections.items():
        viewer.page.locator(".st-key-input_part").get_by_text(title, exact=True).click()
        for key in keys:
            expect(viewer.page.locator(f".st-key-below_{key}")).to_be_visible()
            expect(viewer.page.locator(".st-key-section")).to_contain_text("all exact")
            viewer.settle()
            with viewer.page.expect_download() as download:
                viewer.page.locator(f".st-key-csv_{key} button").click()
            assert len(download.value.path().read_text().splitlines()) > 1, title


def test_every_kind_of_site_has_its_map(viewer):
    for site in ("v", "result", "mlp_out", "resid_mid", "w_head", "w_v", "w_layer"):
        viewer.open("patching", part="set", site=site)
        expect(line(viewer)).to_contain_text("exact in")
        expect(viewer.page.locator(".st-key-patching .js-plotly-plot")).to_be_visible()


def test_without_a_positive_gap_only_effects_are_shown_and_the_page_says_why(viewer):
    viewer.open("patching", **NEGATIVE)
    viewer.told("only effects are shown")
    expect(viewer.page.locator(".st-key-patching")).to_contain_text("logits")
    expect(viewer.page.locator(".st-key-patching")).not_to_contain_text("patch score")


def test_one_token_is_picked_on_the_page_and_patched_alone(viewer):
    viewer.open("patching", positions="picked")
    viewer.told("Click the token")
    viewer.page.get_by_role("button", name="token 6:").click()
    expect(viewer.page).to_have_url(re.compile("picked=5"))
    expect(line(viewer)).to_contain_text("exact in")


def test_a_bad_site_in_the_address_is_told(viewer):
    viewer.open("patching", site="nonsense")
    viewer.told("site=nonsense")
    expect(line(viewer)).to_contain_text("exact in")
