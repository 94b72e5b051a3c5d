"""CircuitsVis' views, offline: its one script served from the installed wheel, its views shut in a frame of their own.

CircuitsVis puts tokens into innerHTML, and tokens are whatever a link's author wrote. So each `<` and `&` is followed
by a character without width, after which neither begins any markup; and the frame is sandboxed, without an origin and
without a network, so that nothing in it could reach the page or another host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

POSITIONS = 48  # of a pattern drawn at most: beyond, drawing takes seconds
NEGATIVE = "#762a83"
POSITIVE = {"base": "#2b83c6", "instruct": "#c65d0e"}

_NAME = "circuitsvis.js"
_YEAR = 31_536_000
_ZERO_WIDTH = "\u2060"
_MARKUP = re.compile("([<&])")


def route() -> Route:
    """Where the wheel's script is served. The address of the script names its version, so it may be kept for long."""
    script = _script()

    async def serve(request: Request) -> FileResponse:
        headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
        return FileResponse(script, media_type="text/javascript", headers=headers)

    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return Route(f"/{base}/{_NAME}" if base else f"/{_NAME}", serve, methods=["GET"])


def scripts() -> tuple[str, str]:
    """What runs within the frame: its own script, and CircuitsVis', as the frame gets them."""
    own = _FRAME.partition("<script>")[2].partition("</script>")[0]
    return own, _script().read_text(encoding="utf-8")


def _script() -> Path:
    # `circuitsvis` itself must not be imported: it imports torch.
    found = find_spec("circuitsvis")
    assert found and found.origin, "requirements.txt has it"
    return Path(found.origin).parent / "dist/cdn/iife.js"


@dataclass(frozen=True)
class View:
    """The props of one AttentionPattern; title: what stands above it."""

    title: str
    props: Mapping[str, object] = field(repr=False)


def safe_tokens(tokens: Sequence[str]) -> list[str]:
    """Tokens that read the same and mean no markup, wherever they are put; CircuitsVis would drop every blank."""
    return [_MARKUP.sub(rf"\1{_ZERO_WIDTH}", _shown(token)) for token in tokens]


def _shown(token: str) -> str:
    return (token.strip(" ") or "·").replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")


def pattern_view(title: str, pattern: np.ndarray, tokens: Sequence[str], model: str) -> View:
    """One head's pattern (query, source) of one model; long prompts: their last `POSITIONS`."""
    props = _props(pattern, tokens, model)
    return View(title, props | {"showAxisLabels": True})


def cut(count: int, most: int = POSITIONS) -> str:
    """What to say below a pattern of `count` positions."""
    return f" The last {most} of {count} positions are shown, so rows need not sum to 1." if count > most else ""


def _props(values: np.ndarray, tokens: Sequence[str], model: str) -> dict[str, object]:
    shown = values[..., -POSITIONS:, -POSITIONS:].astype("float64")
    return {
        # Rounded in float64: a rounded float32 stays long in JSON.
        "attention": np.round(shown, 3).tolist(),
        "tokens": safe_tokens(tokens[-POSITIONS:]),
        "minValue": 0,
        "maxValue": 1,
        "positiveColor": POSITIVE[model],
        "negativeColor": NEGATIVE,
        "maskUpperTri": True,
    }


# The frame: no origin of its own (sandbox), no network (CSP). It gets the script and the views as messages.
_FRAME = """<!doctype html><html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<style>
html, body { margin: 0; background: transparent; overflow: hidden; font: 14px/1.35 sans-serif; }
#views { display: grid; gap: 12px; }
h3 { font-size: 14px; margin: 0 0 4px; }
.view { min-width: 0; }
/* its rows stick out by 15 px on either side */
.view > div { padding: 0 15px; }
/* CircuitsVis mixes its colours with white: turned around, and laid over the page, zero is the dark page's own. */
.dark canvas { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }
</style></head><body><div id="views"></div><script>
const views = document.getElementById('views');
// Labels on the canvases come in a grey that a dark page swallows, and count from the first position drawn.
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  if (this.fillStyle === '#666666') this.fillStyle = ink;
  const counted = String(text).replace(/ \\((\\d+)\\)$/, (_, position) => ` (${Number(position) + first + 1})`);
  return fillText.call(this, counted, ...place);
};
let count = 0, first = 0, ready = false, waiting = null, ink = '#000000';
const tell = message => parent.postMessage({ circuitsvis: true, ...message }, '*');
new ResizeObserver(() => tell({ height: views.scrollHeight })).observe(views);
function draw(data) {
  first = data.first;
  const root = document.documentElement, dark = data.scheme === 'dark';
  root.style.colorScheme = root.className = data.scheme;
  root.style.background = dark ? data.page : '';
  document.body.style.color = data.color;
  ink = dark ? '#101010' : data.color;
  views.style.gridTemplateColumns = `repeat(${data.columns}, minmax(0, 1fr))`;
  views.replaceChildren(...data.views.map(view => {
    const [box, title, root] = ['div', 'h3', 'div'].map(name => document.createElement(name));
    box.className = 'view';
    title.textContent = view.title;
    root.id = `view-${count++}`;
    box.append(title, root);
    queueMicrotask(() => CircuitsVis.render(root.id, CircuitsVis.AttentionPattern, view.props));
    return box;
  }));
}
addEventListener('message', event => {
  if (event.source !== parent) return;
  if (event.data.script) {
    const script = document.createElement('script');
    script.textContent = event.data.script;
    document.head.append(script);
    ready = true;
  }
  if (event.data.views) waiting = event.data;
  if (ready && waiting) { draw(waiting); waiting = null; }
});
tell({ loaded: true });
</script></body></html>"""

_JS = """
const scripts = new Map();
const load = url => {
  if (!scripts.has(url)) scripts.set(url, fetch(url).then(answer => {
    if (!answer.ok) throw new Error(`${answer.status} for ${url}`);
    return answer.text();
  }));
  return scripts.get(url);
};
export default function ({ data, parentElement }) {
  let frame = parentElement.querySelector('iframe');
  const style = getComputedStyle(parentElement.host ?? parentElement);
  const color = style.getPropertyValue('--st-text-color') || style.color;
  const page = style.getPropertyValue('--st-background-color').trim();
  const dark = /^#[0-7]/.test(page) || /^rgba?\\((\\d{1,2}|1[01]\\d),/.test(page);
  const { views, first } = data, width = (parentElement.host ?? parentElement).clientWidth || 800;
  // On a telephone one below the other.
  const columns = width < 560 ? 1 : data.columns, rows = Math.ceil(views.length / columns);
  const message = { views, columns, first, color, page, scheme: dark ? 'dark' : 'light' };
  if (frame) {
    frame.message = message;
    if (frame.loaded) frame.contentWindow.postMessage(message, '*');
    return;
  }
  frame = document.createElement('iframe');
  frame.message = message;
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.title = data.label;
  frame.style.cssText = 'border: 0; width: 100%; display: block';
  // Its height beforehand, so that nothing below moves when it is drawn: a pattern is square, under one line of title.
  const side = (width - 12 * (columns - 1)) / columns;
  frame.style.height = `${Math.round(rows * (side + 23) + 12 * (rows - 1))}px`;
  const listen = event => {
    if (event.source !== frame.contentWindow || !event.data.circuitsvis) return;
    if (event.data.height) frame.style.height = `${event.data.height}px`;
    if (event.data.loaded) load(new URL(data.script, location.href).href).then(
      script => {
        frame.loaded = true;
        frame.contentWindow?.postMessage({ script, ...frame.message }, '*');
      },
      error => { frame.replaceWith(`The attention viewer's script did not load: ${error.message}`); });
  };
  addEventListener('message', listen);
  parentElement.appendChild(frame);
  // The script takes its time to start: not before somebody comes near.
  const near = new IntersectionObserver(entries => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    near.disconnect();
    frame.srcdoc = data.frame;
  }, { rootMargin: '400px' });
  near.observe(frame);
  return () => { near.disconnect(); removeEventListener('message', listen); };
}
"""

_views = st.components.v2.component("rephrase_circuitsvis", js=_JS)


def show(views: Sequence[View], key: str, label: str, count: int, columns: int = 1) -> None:
    """Draw the views side by side; label: for a screen reader; count: of the prompt's positions."""
    data = {
        "views": [{"title": view.title, "props": dict(view.props)} for view in views],
        "columns": columns,
        "first": max(0, count - POSITIONS),
        "label": label,
        "frame": _FRAME,
        "script": f"{_NAME}?v={version('circuitsvis')}",
    }
    _views(data=data, key=key)
