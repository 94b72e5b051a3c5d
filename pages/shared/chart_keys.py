"""Charts by keyboard: Tab reaches those whose cells choose a head, arrows move, Enter chooses, what is there is said.

One script for all charts of a page. What it does to choose is what Streamlit hears of a click, so that a page has one
way of being told. A chart is drawn anew when something is chosen: the script gives it back the focus that it had.
"""

from __future__ import annotations

import plotly.graph_objects as go

from core.charts.figure import Figure, laid_out

CSS = """
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
"""

JS = """
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CURSOR = 'position:absolute;box-sizing:border-box;pointer-events:none;border:3px solid #e0701a;' +
  'border-radius:3px;box-shadow:0 0 0 1px #fff,inset 0 0 0 1px #fff';
const plainly = text => new DOMParser().parseFromString(String(text).replaceAll('<br>', ', '), 'text/html')
  .body.textContent;

const placeOf = plot => plot.closest('[class*=st-key-]')?.className.match(/st-key-\\S+/)[0];
const axis = (plot, name) => plot._fullLayout[`${name[0]}axis${name.slice(1)}`];
const clickable = plot => (plot._fullData ?? []).filter(trace => trace.customdata && trace.visible === true);

// The points of the first panel: on the others the same are marked.
function pointsOf(plot) {
  const traces = clickable(plot), first = traces[0];
  return traces.filter(trace => trace.xaxis === first.xaxis && trace.yaxis === first.yaxis).flatMap(
    trace => Array.from(trace.customdata, (data, n) => ({ trace, n, data, ...positionOf(plot, trace, n) })));
}
function positionOf(plot, trace, n) {
  const x = axis(plot, trace.xaxis), y = axis(plot, trace.yaxis);
  return { x: x._offset + x.d2p(trace.x[n]), y: y._offset + y.d2p(trace.y[n]) };
}
function chosenOf(plot, points) {
  const box = plot.layout.shapes?.find(shape => shape.type === 'rect');
  return box && points.find(({ trace, n }) => trace.x[n] === box.x0 + 0.5 && trace.y[n] === box.y0 + 0.5);
}
// The nearest point in a direction; what lies aside counts twice, so that a row is followed to its end.
function next(points, from, [dx, dy]) {
  let best = null, least = Infinity;
  for (const point of points) {
    const along = (point.x - from.x) * dx + (point.y - from.y) * dy;
    const aside = Math.abs((point.x - from.x) * dy) + Math.abs((point.y - from.y) * dx);
    if (along > 0.5 && along + 2 * aside < least) { best = point; least = along + 2 * aside; }
  }
  return best ?? from;
}
const end = (points, from, sign) => points.reduce(
  (best, point) => Math.abs(point.y - from.y) < 1 && (point.x - best.x) * sign > 0 ? point : best, from);

function mark(plot, point) {
  unmark(plot);
  const canvas = plot.querySelector('.svg-container');
  for (const trace of clickable(plot)) {
    const n = trace === point.trace ? point.n : trace.customdata.findIndex(
      data => String(data) === String(point.data));
    if (n < 0) continue;
    const isCell = trace.marker?.symbol === 'square' && trace.marker.opacity === 0;
    const size = name => isCell ? Math.abs(axis(plot, name).l2p(1) - axis(plot, name).l2p(0)) + 4 : 20;
    const { x, y } = positionOf(plot, trace, n), [width, height] = [size(trace.xaxis), size(trace.yaxis)];
    const cursor = document.createElement('div');
    cursor.className = 'cell-cursor';
    cursor.style.cssText = `${CURSOR};width:${width}px;height:${height}px;` +
      `left:${x - width / 2}px;top:${y - height / 2}px`;
    canvas.append(cursor);
  }
}
const unmark = plot => plot.querySelectorAll('.cell-cursor').forEach(cursor => cursor.remove());

export default function ({ parentElement }) {
  if (parentElement.querySelector('.said')) return;
  const said = document.createElement('div'), cursors = new Map();
  said.className = 'said';
  said.setAttribute('aria-live', 'polite');
  parentElement.append(said);
  let focused = null, chosen = 0, waiting = false;

  const plotOf = event => event.target.closest?.('.js-plotly-plot[tabindex]');
  const nameOf = ({ n, data }) => `${n}: ${data}`;
  const current = (plot, points) => points.find(point => nameOf(point) === cursors.get(placeOf(plot)))
    ?? chosenOf(plot, points) ?? points[0];
  function go(plot, point) {
    cursors.set(placeOf(plot), nameOf(point));
    mark(plot, point);
    said.textContent = plainly(point.trace.text?.[point.n] ?? point.data);
  }
  function choose(plot, { trace, n, data }) {
    // Streamlit passes on what differs from the selection before: `chosen` lets the same cell be chosen again.
    const place = { x: trace.x[n], y: trace.y[n], curveNumber: trace.index, pointNumber: n, pointIndex: n };
    plot.emit('plotly_selected', { points: [{ ...place, customdata: Array.from(data), chosen: ++chosen }] });
  }

  function prepare() {
    waiting = false;
    for (const plot of document.querySelectorAll('.js-plotly-plot:not([tabindex])')) {
      const label = plot._fullLayout?.meta?.keys;
      if (!label || !plot.querySelector('.svg-container')) continue;
      plot.tabIndex = 0;
      plot.setAttribute('role', 'application');
      plot.setAttribute('aria-roledescription', 'chart');
      plot.setAttribute('aria-label', label);
      if (focused && placeOf(plot) === focused) restore(plot, 120);
    }
  }
  // A chart that is drawn anew may not be shown at once, and the one before may still be there, with the focus.
  function restore(plot, frames) {
    const at = document.activeElement, lost = !at || at === document.body || at !== plot && placeOf(at) === focused;
    if (!lost || !frames || !plot.isConnected) return;
    plot.focus({ preventScroll: true });
    requestAnimationFrame(() => restore(plot, frames - 1));
  }
  const observer = new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(prepare);
  });

  function keydown(event) {
    const plot = plotOf(event);
    if (!plot || event.ctrlKey || event.altKey || event.metaKey) return;
    const points = pointsOf(plot);
    if (!points.length) return;
    const from = current(plot, points);
    if (event.key in STEPS) go(plot, next(points, from, STEPS[event.key]));
    else if (event.key === 'Home' || event.key === 'End') go(plot, end(points, from, event.key === 'End' ? 1 : -1));
    else if (event.key === 'Enter' || event.key === ' ') { go(plot, from); choose(plot, from); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  function focusin(event) {
    const plot = plotOf(event);
    focused = plot ? placeOf(plot) : null;
    if (!plot?.matches(':focus-visible')) return;
    const points = pointsOf(plot);
    if (points.length) go(plot, current(plot, points));
  }
  function focusout(event) {
    const plot = plotOf(event);
    if (plot) unmark(plot);
  }
  // A click leaves the focus on its chart, and the keys go on from what it has chosen.
  function pointerdown(event) {
    const plot = plotOf(event);
    focused = plot ? placeOf(plot) : null;
    if (!plot) return;
    cursors.delete(focused);
    plot.focus({ preventScroll: true });
    unmark(plot);
  }

  const listeners = { keydown, focusin, focusout, pointerdown };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener, true);
  observer.observe(document.body, { childList: true, subtree: true });
  prepare();
  return () => {
    observer.disconnect();
    for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener, true);
  };
}
"""


def reachable(fig: go.Figure, title: str) -> Figure:
    """A figure whose points choose something as one for the keys; title: what its keys are about."""
    return laid_out(fig, meta={"keys": f"{title}: arrow keys move, Enter chooses"})
