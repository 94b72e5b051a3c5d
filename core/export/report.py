"""A report: one HTML file that needs nothing else, no network and no server.

plotly.js is written into it once, every figure as plain JSON beside it; a content policy keeps whatever a prompt or a
token says from being run or fetched. A table shows its first rows; its CSV, whole, is in the file too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from core.charts.in_words import in_words
from core.charts.theme import on_page
from core.export.tables import to_csv
from core.wording import ABSENT

ROWS = 50  # of a table, shown
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_BOLD, _CODE = re.compile(r"\*\*(.+?)\*\*", re.DOTALL), re.compile(r"`(.+?)`")

_STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1b212b; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.6rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f5f8; padding: .8rem 1rem; border-radius: 8px; }
details { margin: .3rem 0; } summary { cursor: pointer; color: #2b5d9b; }
.rows { overflow: auto; max-height: 26rem; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e4e8ee; white-space: pre; }
th { position: sticky; top: 0; background: #fff; } .text { text-align: left; }
.read { color: #4a5361; } .files { font-size: .9rem; } .files a, button { margin-right: .8rem; color: #2b5d9b; }
button { all: unset; cursor: pointer; color: #2b5d9b; text-decoration: underline; }
button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media print { details, .files { display: none; } h2 { break-after: avoid; } }
"""
_SCRIPT = """
for (const [id, figure] of Object.entries(FIGURES)) {
  Plotly.newPlot(id, figure.data, figure.layout, { displaylogo: false, responsive: true });
}
for (const button of document.querySelectorAll('button[data-as]')) {
  const { figure, as, file } = button.dataset;
  button.onclick = () => Plotly.downloadImage(figure, { format: as, filename: file, scale: as === 'png' ? 2 : 1 });
}
"""


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a report. read: how to read it, in a line; definition: in the Markdown of `core.definitions`.

    table: its numbers, tidy; name: of its files.
    """

    title: str
    name: str
    read: str
    definition: str = ""
    figure: go.Figure | None = None
    table: pd.DataFrame | None = None


def report(title: str, lead: str, sections: Sequence[Section], description: Mapping[str, object]) -> str:
    """The file's text. lead: what it is of, to the letter; description: experiment and manifest."""
    figures = {_id(n): _figure(part.figure) for n, part in enumerate(sections) if part.figure is not None}
    parts = "\n".join(_section(n, section) for n, section in enumerate(sections))
    described = json.dumps(description, ensure_ascii=False, indent=1, default=str)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<pre>{escape(lead)}</pre>
{parts}
<h2>What it was computed with</h2>
<details><summary>Experiment and manifest</summary><pre>{escape(described)}</pre></details>
<script>{get_plotlyjs()}</script>
<script>const FIGURES = {_in_script(figures)};{_SCRIPT}</script>
</body>
</html>
"""


def _section(n: int, section: Section) -> str:
    parts = [f"<section>\n<h2>{escape(section.title)}</h2>"]
    files = []
    if section.figure is not None:
        parts.append(f'<div id="{_id(n)}" role="img" aria-label="{escape(in_words(section.figure))}"></div>')
        of = f'data-figure="{_id(n)}" data-file="{escape(section.name)}"'
        files += [f'<button type="button" data-as="{kind}" {of}>{kind.upper()}</button>' for kind in ("svg", "png")]
    parts.append(f'<p class="read">{escape(section.read)}</p>')
    if section.definition:
        parts.append(f"<details><summary>Definition</summary>{_html(section.definition)}</details>")
    if section.table is not None:
        count = len(section.table)
        shown = f"Table: {count:,} rows" if count <= ROWS else f"Table: the first {ROWS} of {count:,} rows"
        parts.append(f'<details><summary>{shown}</summary><div class="rows">{_rows(section.table)}</div></details>')
        href = f"data:text/csv;charset=utf-8,{quote(to_csv(section.table))}"
        files.append(f'<a download="{escape(section.name)}.csv" href="{href}">CSV</a>')
    if files:
        parts.append(f'<p class="files">{"".join(files)}</p>')
    return "\n".join([*parts, "</section>"])


def _id(n: int) -> str:
    return f"figure-{n}"


def _figure(figure: go.Figure) -> dict[str, object]:
    """A figure as plain JSON; a page's transparent background would be black in a saved picture."""
    fig = on_page(go.Figure(figure), dark=False).update_layout(paper_bgcolor="#fff")
    made: dict[str, object] = json.loads(fig.to_json())
    return made


def _in_script(value: object) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _html(markdown: str) -> str:
    """Paragraphs, bold type and code: what definitions have of Markdown."""
    text = _CODE.sub(r"<code>\1</code>", _BOLD.sub(r"<b>\1</b>", escape(markdown.strip())))
    return "".join(f"<p>{paragraph}</p>" for paragraph in text.split("\n\n"))


def _rows(table: pd.DataFrame) -> str:
    texts = [not pd.api.types.is_numeric_dtype(table[name]) for name in table]
    marks = [' class="text"' if text else "" for text in texts]
    head = "".join(f"<th{mark}>{escape(str(name))}</th>" for name, mark in zip(table, marks))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{escape(_cell(value))}</td>" for value, mark in zip(row, marks)) + "</tr>"
        for row in table.head(ROWS).itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ABSENT
    return f"{value:.5g}" if isinstance(value, float) else str(value)
