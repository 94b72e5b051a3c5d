"""A report is one file that asks for nothing, holds every table whole, and runs nothing that a prompt says."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from core.export.report import ROWS, Section, report

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def made() -> str:
    table = pd.DataFrame(
        {"token": [HOSTILE] * (ROWS + 1), "value": np.arange(ROWS + 1) / 3, "none": [None] * (ROWS + 1)}
    )
    figure = go.Figure([{"type": "scatter", "x": [1], "y": [2], "text": [HOSTILE]}])
    section = Section(HOSTILE, "map", HOSTILE, f"**bold** `code` {HOSTILE}", figure, table)
    return report("A report", HOSTILE, [section], {"experiment": {"sentence": HOSTILE}})


def test_what_a_prompt_says_is_shown_and_never_run():
    html = made()
    assert "alert(1)</script>" not in html and "<img" not in html.replace(get_plotlyjs(), "")
    assert "<b>bold</b> <code>code</code> &lt;/script&gt;" in html
    assert "default-src 'none'" in html


def test_nothing_is_fetched():
    links = re.findall(r'<[^>]+ (?:src|href)="([^"]*)"', made().replace(get_plotlyjs(), ""))
    assert links and all(link.startswith("data:") for link in links)


def test_plotly_is_written_once_and_the_figures_are_plain_json():
    html = made()
    assert html.count("plotly.js v") == 1
    figures = json.loads(re.search(r"const FIGURES = (.*?);\nfor", html)[1])
    assert figures["figure-0"]["data"][0]["text"] == [HOSTILE]


def test_a_long_table_shows_its_first_rows_and_holds_all_of_them():
    html = made()
    assert f"the first {ROWS} of {ROWS + 1} rows" in html and html.count("<tr>") == ROWS + 1
    csv = unquote(re.search(r'href="data:text/csv;charset=utf-8,([^"]*)"', html)[1])
    assert len(csv.splitlines()) == ROWS + 2
