"""Three steps for who is here for the first time, in the empty strip beside the menu, in a narrow window above the line
of state. They take no room, whenever they come or go, but for a narrow page's end, which is scrolled past them. The
browser remembers that they were dismissed; where it may not, they are gone for this tab.
"""

from __future__ import annotations

import streamlit as st

STEPS = (
    "Type a sentence, or click the word to replace.",
    "Compare what both models write.",
    "Open a page: which heads do it?",
)

_CSS = """
.steps { position: fixed; inset: .25rem 3.6rem auto auto; margin: 0; padding: .1rem .3rem .1rem .8rem; display: flex;
  gap: .9rem; align-items: center; border: 1px solid var(--st-primary-color); border-radius: 999px; z-index: 999;
  font: .82rem/1.5 var(--st-font, sans-serif); color: var(--st-text-color); background: var(--st-background-color); }
ol { display: flex; gap: .9rem; margin: 0; padding: 0; list-style: none; counter-reset: step; }
li { counter-increment: step; white-space: nowrap; }
li::before { content: counter(step); font-weight: 700; margin-right: .35rem; color: var(--st-primary-color); }
button { all: unset; cursor: pointer; font-weight: 600; padding: 0 .6rem; border-radius: 999px; white-space: nowrap;
  color: var(--st-background-color); background: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 1px; }
@media (max-width: 1100px) {
  .steps { inset: auto .6rem 6.2rem auto; border-radius: 12px; padding: .5rem .8rem; max-width: calc(100vw - 3rem);
    flex-direction: column; align-items: start; }
  ol { flex-direction: column; gap: .2rem; }
  li { white-space: normal; }
}
"""

_PLACE = """<style>
.st-key-first_visit { position: absolute; width: 0; height: 0; }
@media (max-width: 1100px) { .first-visit .st-key-page { padding-bottom: 9rem; } }
</style>"""

_JS = """
const KEY = 'rephrase-steps-dismissed';
const kept = {
  get: () => { try { return localStorage.getItem(KEY); } catch { return window[KEY]; } },
  set: () => { window[KEY] = '1'; try { localStorage.setItem(KEY, '1'); } catch { /* for this tab, then */ } },
};
export default function ({ data, parentElement }) {
  if (kept.get() || parentElement.querySelector('.steps')) return;
  const steps = document.createElement('aside'), list = document.createElement('ol');
  steps.className = 'steps';
  steps.setAttribute('aria-label', 'First steps');
  for (const step of data.steps) {
    const item = document.createElement('li');
    item.textContent = step;
    list.appendChild(item);
  }
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Got it';
  button.onclick = () => { kept.set(); steps.remove(); document.body.classList.remove('first-visit'); };
  steps.append(list, button);
  parentElement.appendChild(steps);
  document.body.classList.add('first-visit');
  // Above the page's own header.
  steps.popover = 'manual';
  steps.showPopover?.();
}
"""

_steps = st.components.v2.component("rephrase_first_visit", css=_CSS, js=_JS)


def steps() -> None:
    """Shown until somebody dismisses them in this browser."""
    st.html(_PLACE)
    _steps(data={"steps": list(STEPS)}, key="first_visit")
