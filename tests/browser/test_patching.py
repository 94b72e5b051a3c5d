"""The Patching page, as a viewer meets it: the map that fills, what ends it, and what it says about itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.random_llama import random_llama
from tests.random_models import fine_tuned
from tests.random_tokenizers import byte_level

NEGATIVE = {"prompt": "Rephrased sentence: The", "original": " swift", "answer": " quick"}
LONG = "The quick fox jumps over the dog, a small cat, a big bird, the old dog, a little cat and the large fox."


@pytest.fixture(scope="module")
def big_pair(tmp_path_factory) -> dict[str, str]:
    """16 layers of 16 heads, as the address names them; on the long sentence a sweep takes many chunks."""
    folder = tmp_path_factory.mktemp("pair")
    base = random_llama(layers=16, heads=16, d_model=256, d_mlp=512)
    for name, model in (("base", base), ("instruct", fine_tuned(base, size=0.2 / 16))):
        model.save_pretrained(folder / name)
        byte_level().save_pretrained(folder / name)
    models = {name: str(folder / name) for name in ("base", "instruct")}
    # A section that computes nothing by itself.
    return {"pair": "", **models, "sentence": LONG, "answer": "swift", "show": "effect", "part": "set"}


@dataclass(frozen=True)
class Map:
    """What the map on screen holds: exact values by (row, column)."""

    exact: dict[tuple[int, int], float]

    def agrees_with(self, other: Map) -> bool:
        return all(abs(self.exact[cell] - other.exact[cell]) < 1e-9 for cell in self.exact.keys() & other.exact.keys())


def map_of(viewer) -> Map:
    """Empty while no figure is drawn."""
    z, estimated = json.loads(
        viewer.page.locator(".st-key-patching .js-plotly-plot").first.evaluate(
            """plot => {
              if (!plot.data) return '[[], []]';
              const marks = plot.data.filter(t => t.type === 'scatter' && t.marker.symbol === 'circle' && t.x[0] !== null);
              return JSON.stringify([plot.data[0].z, marks.flatMap(t => t.x.map((x, i) => [t.y[i], x]))]);
            }"""
        )
    )
    hidden = set(map(tuple, estimated))
    cells = {(r, c): value for r, row in enumerate(z) for c, value in enumerate(row)}
    return Map({cell: value for cell, value in cells.items() if value is not None and cell not in hidden})


def line(viewer):
    return viewer.page.locator(".st-key-sweep_progress")


def start_sweep(viewer, pair: dict[str, str]) -> None:
    """Open the page and wait until some cells of the map are exact, and most are not."""
    viewer.page.goto(f"{viewer.url}patching?" + "&".join(f"{name}={value}" for name, value in pair.items()))
    expect(line(viewer)).to_contain_text(re.compile(r"\b[1-9]\d* of 256 exact, deepest"), timeout=120_000)


def cell_of(chart, column: int, row: int) -> list[float]:
    chart.scroll_into_view_if_needed()
    return chart.evaluate(
        """(plot, [column, row]) => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.l2p(column), box.y + yaxis._offset + yaxis.l2p(row)];
        }""",
        [column, row],
    )


def test_an_edit_ends_the_sweep_and_no_figure_mixes_two_prompts(viewer, big_pair):
    start_sweep(viewer, big_pair)
    before = map_of(viewer)
    assert 0 < len(before.exact) < 256
    box = viewer.page.get_by_label("Sentence", exact=True).first
    box.fill("The quick fox jumps.")
    box.press("Enter")
    seen = []
    done = line(viewer).get_by_text("all 256 exact")
    for _ in range(1200):
        if done.count():
            break
        seen.append(map_of(viewer))
        viewer.page.wait_for_timeout(100)
    viewer.settle()
    after = map_of(viewer)
    assert len(after.exact) == 256 and not before.agrees_with(after)
    assert all(map_.agrees_with(before) or map_.agrees_with(after) for map_ in seen)
    # Had the old sweep gone on, it would have been finished before the new one began.
    viewer.page.go_back()
    expect(viewer.page.get_by_label("Sentence", exact=True).first).to_have_value(LONG)
    expect(line(viewer)).to_contain_text(re.compile(r"\d+ of 256 exact, (waiting|deepest)"))
    line(viewer).get_by_role("button", name="Cancel").click()
    expect(line(viewer)).to_contain_text("cancelled")


def test_a_cancelled_sweep_keeps_what_has_run_and_can_be_run_again(viewer, big_pair):
    start_sweep(viewer, big_pair)
    line(viewer).get_by_role("button", name="Cancel").click()
    expect(line(viewer)).to_contain_text(re.compile(r"cancelled with \d+ of 256 exact"))
    viewer.settle()
    assert 0 < len(map_of(viewer).exact) < 256
    line(viewer).get_by_role("button", name="Run again").click()
    expect(line(viewer)).to_contain_text(re.compile(r"\d+ of 256 exact, (waiting|deepest)"))
    line(viewer).get_by_role("button", name="Cancel").click()
    expect(line(viewer)).to_contain_text("cancelled")


def test_a_map_keeps_its_place_and_height_while_it_fills(viewer, big_pair):
    start_sweep(viewer, big_pair)
    chart = viewer.page.locator(".st-key-patching")

    def place() -> tuple[float, float, float]:
        """Below the line, and its size."""
        box, above = chart.bounding_box(), line(viewer).bounding_box()
        return box["y"] - above["y"], box["width"], box["height"]

    filling = place()
    line(viewer).get_by_role("button", name="Cancel").click()
    expect(line(viewer)).to_contain_text("cancelled")
    viewer.type("Sentence", "The quick fox jumps.")
    expect(line(viewer)).to_contain_text("all 256 exact", timeout=120_000)
    assert place() == filling


def test_direction_site_positions_and_section_are_in_the_address(viewer):
    viewer.open("patching", direction="base_to_instruct", site="v", positions="end", show="effect", part="positions")
    page = viewer.page
    for key, chosen in (("direction", "BASE → INSTRUCT"), ("positions", "END only"), ("show", "effect")):
        expect(page.locator(f".st-key-input_{key} [aria-checked=true]")).to_have_text(chosen)
    expect(page.locator(".st-key-patching")).to_contain_text("Value patch of a KV group (v)")
    expect(page.locator(".st-key-position_map")).to_be_visible()
    page.locator(".st-key-input_direction").get_by_text("INSTRUCT → BASE").click()
    expect(page).not_to_have_url(re.compile("direction="))
    page.locator(".st-key-input_positions").get_by_text("all").click()
    expect(page).not_to_have_url(re.compile("positions="))
    expect(page).to_have_url(re.compile("site=v"))


def test_a_clicked_cell_chooses_its_head_on_every_page(viewer):
    viewer.open("patching")
    chart = viewer.page.locator(".st-key-patching .js-plotly-plot")
    cell = cell_of(chart, column=2, row=1)
    viewer.page.mouse.move(*cell)
    viewer.page.mouse.click(*cell)
    expect(viewer.page).to_have_url(re.compile("head=L1H2"))
    viewer.page.get_by_role("link", name="Attribution").click()
    expect(viewer.page.locator(".st-key-chosen_head")).to_contain_text("L1H2")


def test_every_section_shows_its_figures_and_gives_their_data(viewer):
    viewer.open("patching", heads="L0H1,L2H6", head="L2H6")
    sections = {
        "Value against output": ("as_in_the_post", "like_with_like"),
        "KV groups": ("kv_groups",),
        "Pairs": ("pairs",),
        "Greedy circuit": ("greedy",),
        "A set of heads": ("set",),
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
    for site in ("v", "result", "mlp_out", "resid_mid"):
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
    viewer.page.get_by_role("button", name="position 5:").click()
    expect(viewer.page).to_have_url(re.compile("picked=5"))
    expect(line(viewer)).to_contain_text("exact in")


def test_a_bad_site_in_the_address_is_told(viewer):
    viewer.open("patching", site="nonsense")
    viewer.told("site=nonsense")
    expect(line(viewer)).to_contain_text("exact in")
