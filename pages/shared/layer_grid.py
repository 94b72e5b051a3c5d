"""Every head of a layer as a small map of its pattern, drawn on one canvas a head: 32 heads in some 30 ms."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from core.charts.theme import DIVERGING_DARK
from pages.shared.figures import dark

POSITIONS = 96  # drawn at most, the prompt's last

_CSS = """
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: 10px; }
button { all: unset; cursor: pointer; min-width: 0; font: 600 0.8rem/1.4 var(--st-font, sans-serif);
  color: var(--st-text-color); padding: 3px; border: 2px solid transparent; border-radius: 6px; }
button:hover, button:focus-visible { border-color: var(--st-border-color); }
button[aria-pressed=true] { border-color: var(--st-primary-color); }
canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 2px;
  border: 1px solid var(--st-border-color); box-sizing: border-box; }
.value { min-height: 1.5em; margin-top: 6px; font: 0.85rem var(--st-code-font, monospace); color: var(--st-text-color);
  white-space: pre; overflow: hidden; text-overflow: ellipsis; }
"""

_JS = """
const clean = token => token.replaceAll('\\n', '⏎').replaceAll('\\t', '⇥');
export default function ({ data, setTriggerValue, parentElement }) {
  let grid = parentElement.querySelector('.grid'), value = parentElement.querySelector('.value');
  if (!grid) {
    grid = document.createElement('div'); grid.className = 'grid';
    value = document.createElement('div'); value.className = 'value';
    parentElement.append(grid, value);
  }
  const bytes = Uint8Array.from(atob(data.values), c => c.charCodeAt(0)), all = new Int16Array(bytes.buffer);
  const n = data.tokens.length, [negative, zero, positive] = data.colors;
  const place = position => `${clean(data.tokens[position])} (${data.first + position + 1})`;
  value.textContent = ' ';
  const had = [...grid.children].indexOf(grid.getRootNode().activeElement);
  grid.replaceChildren(...data.names.map((name, h) => {
    const box = document.createElement('button'), canvas = document.createElement('canvas');
    const cells = all.subarray(h * n * n, (h + 1) * n * n);
    canvas.width = canvas.height = n;
    const context = canvas.getContext('2d'), image = context.createImageData(n, n);
    cells.forEach((cell, i) => {
      const share = Math.abs(cell) / 10000, end = cell < 0 ? negative : positive;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = zero[c] + share * (end[c] - zero[c]);
      image.data[4 * i + 3] = i % n > Math.floor(i / n) ? 0 : 255;
    });
    context.putImageData(image, 0, 0);
    canvas.style.background = `rgb(${zero})`;
    canvas.onmousemove = event => {
      const at = extent => Math.min(n - 1, Math.max(0, Math.floor(n * extent / canvas.clientWidth)));
      const query = at(event.offsetY), source = at(event.offsetX);
      const weight = (cells[query * n + source] / 10000).toFixed(3).replace('-', '−');
      value.textContent = source > query ? ' ' : `${name}  ${place(query)} → ${place(source)}  ${weight}`;
    };
    canvas.onmouseleave = () => { value.textContent = ' '; };
    box.append(name, canvas);
    box.setAttribute('aria-pressed', h === data.chosen);
    box.setAttribute('aria-label', `choose ${name}`);
    box.onclick = () => setTriggerValue('clicked', h);
    return box;
  }));
  // The focus stays where it was: the boxes are new ones.
  grid.children[had]?.focus({ preventScroll: true });
}
"""

# Below zero, at zero, above: on a light page and on a dark one, as in the maps of heads.
_COLORS = (
    [[118, 42, 131], [247, 247, 247], [27, 120, 55]],
    [[int(str(DIVERGING_DARK[n][1])[i : i + 2], 16) for i in (1, 3, 5)] for n in (0, 5, -1)],
)
_grid = st.components.v2.component("rephrase_layer_grid", css=_CSS, js=_JS)


def show(
    patterns: np.ndarray,
    names: Sequence[str],
    tokens: Sequence[str],
    key: str,
    on_click: Callable[[int], None],
    chosen: int | None = None,
) -> None:
    """patterns: (head, query, source), weights or their difference; `on_click` gets the index of a clicked head."""
    data = {
        "values": encode(patterns[:, -POSITIONS:, -POSITIONS:]),
        "names": list(names),
        "tokens": list(tokens[-POSITIONS:]),
        "first": max(0, len(tokens) - POSITIONS),
        "colors": _COLORS[dark()],
        "chosen": chosen,
    }

    def clicked() -> None:
        index = st.session_state[key].get("clicked")
        if isinstance(index, int) and 0 <= index < len(names):
            on_click(index)

    _grid(data=data, key=key, on_clicked_change=clicked)


def encode(values: np.ndarray) -> str:
    """Weights from −1 to 1 as base64 of little-endian 16-bit ten-thousandths."""
    return base64.b64encode(np.round(values * 10_000).astype("<i2").tobytes()).decode()
