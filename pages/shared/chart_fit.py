"""Figures as a window has room for them, and of its theme: what neither Python nor Plotly knows of a browser.

Plotly writes labels without looking whether they have room. In a narrow window a title that is too long becomes
smaller, and so do panels' titles that lie on each other; a label that sticks out moves in; of tick labels that lie on
each other some are left out.
"""

from __future__ import annotations

JS = """
const EDGE = '.gtitle, .gtitle-subtitle, .annotation-text, .bartext, .legendtext';
const boxOf = element => element.getBoundingClientRect();

function axisEnds(plot, text) {
  const panel = text.closest('.subplot')?.classList[1]?.match(/^x\\d*/)[0] ?? 'x';
  const axis = plot._fullLayout[`xaxis${panel.slice(1)}`], { left, right } = boxOf(plot);
  return [left + axis._offset, Math.min(right, left + axis._offset + axis._length + 12)];
}

function moveIn(plot) {
  const page = boxOf(plot);
  for (const text of plot.querySelectorAll(EDGE)) {
    text.removeAttribute('dx');
    const wide = boxOf(text).width, size = parseFloat(getComputedStyle(text).fontSize);
    const bar = text.matches('.bartext') && boxOf(text.parentElement.firstElementChild);
    // What stands beside a bar has room to its axis' end, before the next one's labels, or to its own.
    const [begin, end] = bar ? axisEnds(plot, text) : [page.left, page.right];
    // A label that is held off what it stands beside would be moved onto that.
    const note = plot._fullLayout.annotations?.[text.closest('.annotation')?.dataset.index];
    const axis = plot._fullLayout.xaxis;
    // From the axis: the text's own place is about its middle, and changes with its size.
    const beside = note?.xshift > 0 && page.left + axis._offset + axis.d2p(note.x) + note.xshift;
    const room = beside ? end - beside - 1
      : !bar ? page.width : boxOf(text).left > bar.left ? end - bar.right - 4 : bar.left - begin - 4;
    if (wide > room) text.style.setProperty('font-size', `${Math.max(8, 0.97 * size * room / wide)}px`, 'important');
    const { left, right } = boxOf(text);
    let move = beside ? beside - left : 0;
    // A number that has become smaller stands beside its bar still.
    if (bar && left - bar.right > 6) move = bar.right + 4 - left;
    if (bar && bar.left - right > 6) move = bar.left - 4 - right;
    move -= Math.max(0, right + move - page.right + 1) || Math.min(0, left + move - page.left - 1);
    if (move) text.setAttribute('dx', move);
  }
}

// Titles of panels side by side, all of one size.
function narrow(plot) {
  const rows = Map.groupBy(plot.querySelectorAll('.annotation-text'), text => Math.round(boxOf(text).top));
  for (const texts of rows.values()) {
    const sorted = [...texts].sort((a, b) => boxOf(a).left - boxOf(b).left);
    const crowded = () => sorted.some((text, n) => n && boxOf(text).left < boxOf(sorted[n - 1]).right + 2);
    for (let size = parseFloat(getComputedStyle(sorted[0]).fontSize); size > 6 && crowded(); size -= 0.5)
      for (const text of sorted) text.style.setProperty('font-size', `${size}px`, 'important');
  }
}

// Bold labels are those of tokens with a role: they stay.
function thinOut(plot) {
  const axes = Map.groupBy(plot.querySelectorAll('[class$=tick] text'), text => text.parentElement.classList[0]);
  for (const [name, texts] of axes) {
    if (name[0] !== 'x') continue;
    const kept = [], bold = text => Number(Boolean(text.querySelector('[style*=bold]')));
    for (const text of [...texts].sort((a, b) => bold(b) - bold(a) || boxOf(a).left - boxOf(b).left)) {
      const { left, right } = boxOf(text);
      const free = kept.every(box => right < box.left + 1 || left > box.right - 1);
      text.style.visibility = free ? '' : 'hidden';
      if (free) kept.push({ left, right });
    }
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const own = parentElement.fit ??= { told: null };
  own.look = () => {
    own.waiting = false;
    const light = getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g);
    const isDark = light.slice(0, 3).reduce((sum, part) => sum + Number(part), 0) < 384;
    // The server learns of another theme with the next run alone.
    if (isDark !== data && own.told !== isDark) setTriggerValue('theme', own.told = isDark);
    if (isDark === data) own.told = null;
    for (const plot of document.querySelectorAll('.js-plotly-plot:not([data-fitted])')) {
      if (!plot._fullLayout || !plot.on) continue;
      plot.dataset.fitted = '';
      const fit = () => { moveIn(plot); narrow(plot); thinOut(plot); };
      plot.on('plotly_afterplot', fit);
      fit();
    }
  };
  own.look();
  if (own.observer) return;
  own.observer = new MutationObserver(() => {
    if (own.waiting) return;
    own.waiting = true;
    requestAnimationFrame(() => own.look());
  });
  own.observer.observe(document.body, { childList: true, subtree: true });
  return () => { own.observer.disconnect(); own.observer = null; };
}
"""
