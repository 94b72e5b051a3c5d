"""What is handed to the viewers of attention: tokens without markup, numbers that survive the way."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from pages.shared import circuitsvis, layer_grid
from pages.shared.heads import parse

HOSTILE = ("<img src=x onerror=alert(1)>", "</script>", "<s>", "<!--", "&lt;b&gt;", "a<b", " quick", "\n\n", " ")


class Markup(HTMLParser):
    """Collects whatever a browser would not read as text."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)

    handle_endtag = handle_comment = handle_decl = handle_entityref = handle_charref = handle_pi = unknown_decl = (
        lambda self, found, *rest: self.found.append(found)
    )


@pytest.mark.parametrize("token", HOSTILE)
def test_a_token_in_a_view_is_text_wherever_it_is_put(token):
    (shown,) = circuitsvis.safe_tokens([token])
    read = Markup(f"<p>{shown}</p>")
    assert read.found == ["p", "p"]
    assert read.text.replace("\u2060", "") == (token.strip(" ") or "·").replace(" ", "·").replace("\n", "⏎")


def test_a_pattern_is_shown_rounded_and_from_its_end():
    count = circuitsvis.POSITIONS + 10
    pattern = np.tril(np.random.default_rng(0).random((count, count), dtype=np.float32))
    props = circuitsvis.pattern_view("", pattern, [f"t{i}" for i in range(count)], "base").props
    assert props["tokens"][0] == "t10" and len(props["attention"]) == circuitsvis.POSITIONS
    np.testing.assert_allclose(props["attention"], pattern[10:, 10:], atol=0.0005001)
    assert max(len(repr(value)) for row in props["attention"] for value in row) <= 5


def test_the_layers_grid_gets_every_weight_within_a_ten_thousandth():
    values = np.random.default_rng(0).uniform(-1, 1, (3, 5, 5))
    sent = np.frombuffer(base64.b64decode(layer_grid.encode(values)), "<i2").reshape(3, 5, 5) / 10_000
    np.testing.assert_allclose(sent, values, atol=0.000051)


def test_the_script_is_served_from_the_installed_wheel_for_long(tmp_path):
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    answer = TestClient(Starlette(routes=[circuitsvis.route()])).get("/circuitsvis.js")
    assert answer.status_code == 200 and "var CircuitsVis" in answer.text
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name, place", [("L13H23", (13, 23)), ("L0H0", (0, 0)), ("13.23", None), ("L1H2 ", None)])
def test_a_heads_name_is_read_exactly(name, place):
    assert parse(name) == place
