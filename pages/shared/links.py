"""A link to another page that is clicked out of an edited field leads there, with the edit taken.

The browser leaves the field at the click, and Streamlit sends the edit a moment later, as one of the page before: on a
touch screen, where pressing and letting go are one, behind the click, so that the page before comes back.
"""

from __future__ import annotations

JS = """
const MOMENT = 50;  // ms, for the field's edit to go first
export default function ({ parentElement }) {
  if (parentElement.listening) return;
  const listening = parentElement.listening = new AbortController();
  const capture = { capture: true, signal: listening.signal };
  let left = -Infinity;
  window.addEventListener('focusout', ({ target, timeStamp }) => {
    if (target.matches?.('input, textarea')) left = timeStamp;
  }, capture);
  window.addEventListener('click', event => {
    const link = event.target.closest?.('a[href]');
    const plain = !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || link.target || !plain || event.timeStamp - left > MOMENT) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    left = -Infinity;
    const href = link.getAttribute('href');
    const now = () => (link.isConnected ? link : document.querySelector(`a[href="${CSS.escape(href)}"]`))?.click();
    setTimeout(now, MOMENT);
  }, capture);
  return () => listening.abort();
}
"""
