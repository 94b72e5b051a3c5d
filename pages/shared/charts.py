"""Charts as files, made in the browser of what it has drawn: an SVG with the prompt below it, a PNG with its name.

One listener on a page answers to all its buttons, which are plain HTML and cost nothing while nobody presses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.results import head_name
from core.wording import word
from pages.patching.plan import DIRECTIONS

CSS = """
.as-svg { all: unset; display: block; cursor: pointer; font-size: .875rem; line-height: 1.6; white-space: nowrap; }
.as-svg:hover { color: var(--st-primary-color, #2b5d9b); text-decoration: underline; }
.as-svg:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; border-radius: 4px; }
/* Nobody would answer yet. */
body:not(.answers-charts) .as-svg { visibility: hidden; }
"""

JS = """
const NS = 'http://www.w3.org/2000/svg', XLINK = 'http://www.w3.org/1999/xlink', LINE = 17, MOST = 4, EDGE = 16;
const part = (kind, attributes, into) => {
  const made = document.createElementNS(NS, kind);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  into.appendChild(made);
  return made;
};
const wrapped = (text, longest) => {
  const lines = [''];
  for (const word of text.split(' ').flatMap(w => w.match(new RegExp(`.{1,${longest}}`, 'gsu')) ?? [''])) {
    if ((lines.at(-1) + ' ' + word).length > longest) lines.push(word);
    else lines[lines.length - 1] = (lines.at(-1) + ' ' + word).trimStart();
  }
  return lines.length > MOST ? [...lines.slice(0, MOST - 1), lines[MOST - 1] + '…'] : lines;
};
const drawn = (plot, caption) => {
  const layers = [...plot.querySelectorAll('.main-svg')];
  const { width, height } = layers[0].getBoundingClientRect();
  const page = getComputedStyle(document.querySelector('.stApp'));
  const lines = wrapped(caption, Math.max(20, Math.floor(width / 7)));
  const whole = Math.ceil(height) + LINE * lines.length + 12;
  const svg = document.createElementNS(NS, 'svg');
  // Elsewhere its type may be wider.
  const size = { width: width + 2 * EDGE, height: whole };
  svg.setAttribute('viewBox', `${-EDGE} 0 ${size.width} ${size.height}`);
  Object.entries(size).forEach(attribute => svg.setAttribute(...attribute));
  part('title', {}, svg).textContent = caption;
  part('rect', { x: -EDGE, ...size, fill: page.backgroundColor }, svg);
  for (const layer of layers) for (const child of layer.children) svg.appendChild(child.cloneNode(true));
  svg.querySelectorAll('.draglayer, .hoverlayer').forEach(unseen => unseen.remove());
  for (const image of svg.querySelectorAll('image')) {
    image.setAttribute('href', image.getAttribute('href') ?? image.getAttributeNS(XLINK, 'href'));
    image.removeAttributeNS(XLINK, 'href');
  }
  const look = { fill: page.color, 'font-family': 'sans-serif', 'font-size': 12 };
  lines.forEach((line, n) => {
    part('text', { ...look, x: 4, y: Math.ceil(height) + LINE * (n + 1) }, svg).textContent = line;
  });
  return new XMLSerializer().serializeToString(svg);
};
export default function ({ parentElement }) {
  const plotOf = button => document.querySelector(`.st-key-${CSS.escape(button.dataset.chart)} .js-plotly-plot`);
  const clicked = event => {
    const button = event.target.closest?.('.as-svg');
    if (button) {
      const plot = plotOf(button);
      if (!plot?.querySelector('.main-svg')) return;
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([drawn(plot, button.dataset.caption)], { type: 'image/svg+xml' }));
      link.download = button.dataset.file + '.svg';
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      return;
    }
    // Named only now: another name in a chart's options would have the chart drawn anew with every edit.
    const plot = event.target.closest?.('.modebar-btn') && event.target.closest('.js-plotly-plot');
    const named = plot && [...document.querySelectorAll('.as-svg')].find(button => plotOf(button) === plot);
    if (named && plot._context) {
      plot._context.toImageButtonOptions = { format: 'png', scale: 2, filename: named.dataset.file };
    }
  };
  parentElement.listening?.abort();
  const listening = parentElement.listening = new AbortController();
  document.addEventListener('click', clicked, { capture: true, signal: listening.signal });
  document.body.classList.add('answers-charts');
  return () => listening.abort();
}
"""


def svg_button(key: str, stem: str, labels: Mapping[str, object]) -> None:
    """A chart as it is drawn, with what it is of below it. key: of the chart; stem: of the file's name."""
    attributes = {"data-chart": key, "data-file": stem, "data-caption": caption(labels)}
    named = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    st.html(f'<button type="button" class="as-svg" {named}>SVG</button>', width="content")


def caption(labels: Mapping[str, object]) -> str:
    """One line: the prompt, original → answer, the pair, and what else the chart is of."""
    parts = [" ".join(str(labels.get("prompt", "")).split()).strip()]
    if labels.get("answer"):
        parts.append(" → ".join(word(str(labels[name]), 40) for name in ("original", "answer") if labels.get(name)))
    parts.append(f"pair {labels.get('pair', '')}")
    if "compared_with" in labels:
        parts[0] = f"B: {parts[0]}"
        parts.append(f"A: {' '.join(str(labels['compared_with']).split())}")
    if "site" in labels:
        parts.append(f"site {labels['site']}")
    if labels.get("frozen_patterns"):
        parts.append("patterns frozen")
    parts.append(DIRECTIONS.get(str(labels.get("direction", "")), ""))
    if {"layer", "head"} <= labels.keys():
        parts.append(head_name(*(int(str(labels[name])) for name in ("layer", "head"))))
    return " · ".join(part for part in parts if part)
