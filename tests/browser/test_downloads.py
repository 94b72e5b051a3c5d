"""Charts leave the browser as SVG and PNG, all tables of a page in one file, each named by what it is of."""

from __future__ import annotations

import json
import zipfile
from xml.etree import ElementTree

from playwright.sync_api import expect

SVG = "{http://www.w3.org/2000/svg}"


def downloaded(viewer, press):
    with viewer.page.expect_download() as download:
        press()
    return download.value


def test_a_chart_and_all_tables_are_downloaded_by_what_they_are_of(viewer):
    viewer.open("patching", head="L2H6")
    page = viewer.page
    expect(page.locator(".st-key-patching .main-svg").first).to_be_visible()
    button = page.locator(".st-key-below_patching .as-svg")
    svg = downloaded(viewer, button.click)
    assert svg.suggested_filename.startswith("patching_tiny_The-quick-fox-") and "_z." in svg.suggested_filename
    root = ElementTree.parse(svg.path()).getroot()
    said = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert "Rephrase all the adjectives of the following sentence: The quick fox" in said and "quick → swift" in said
    # The map itself, its title and its axes, and nothing from anywhere else.
    assert list(root.iter(f"{SVG}image")) and "layer" in "".join(root.itertext()) and "INSTRUCT → BASE" in said
    links = [value for node in root.iter() for name, value in node.attrib.items() if name.endswith("href")]
    assert all(link.startswith(("data:", "#")) for link in links)

    chart = page.locator(".st-key-patching")
    chart.hover()
    png = downloaded(viewer, chart.locator(".modebar-btn[data-title*=png i]").click)
    assert png.suggested_filename == svg.suggested_filename.replace(".svg", ".png")

    tables = downloaded(viewer, page.locator(".st-key-all_tables button").first.click)
    assert tables.suggested_filename.startswith("tables_tiny_The-quick-fox-")
    with zipfile.ZipFile(tables.path()) as archive:
        names = archive.namelist()
        assert json.loads(archive.read("manifest.json"))["manifest"]["answer"]["token"] == " swift"
    assert svg.suggested_filename.replace(".svg", ".csv") in names
