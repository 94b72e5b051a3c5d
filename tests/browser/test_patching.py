"""The Patching page, as a viewer meets it: what is chosen on it, its sections, and what it says about itself."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from playwright.sync_api import expect

NEGATIVE = {"prompt": "Rephrased sentence: The", "original": " swift", "answer": " quick"}


def line(viewer):
    return viewer.page.locator(".st-key-sweep_progress")


def cell_of(chart, column: int, row: int) -> list[float]:
    chart.scroll_into_view_if_needed()
    return chart.evaluate(
        """(plot, [column, row]) => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.l2p(column), box.y + yaxis._offset + yaxis.l2p(row)];
        }""",
        [column, row],
    )


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
            viewer.settle()  # until then the words of the section before may stand there
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
