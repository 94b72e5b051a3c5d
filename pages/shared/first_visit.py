"""Three steps for who is here for the first time, in the empty strip beside the menu; in a narrow window behind a
button there. They take no room, whenever they come or go, and lie over nothing until they are opened. The browser
remembers that they were dismissed; where it may not, they are gone for this tab.
"""

from __future__ import annotations

STEPS = (
    "Type a sentence, or click the word to replace.",
    "Compare what both models write.",
    "Open a page: which heads do it?",
)

CSS = """
.steps { position: fixed; inset: .25rem 3.6rem auto auto; margin: 0; padding: .1rem .3rem .1rem .8rem; display: flex;
  gap: .9rem; align-items: center; border: 1px solid var(--st-primary-color); border-radius: 999px; z-index: 999;
  font: .82rem/1.5 var(--st-font, sans-serif); color: var(--st-text-color); background: var(--st-background-color); }
ol { display: flex; gap: .9rem; margin: 0; padding: 0; list-style: none; counter-reset: step; }
li { counter-increment: step; white-space: nowrap; }
li::before { content: counter(step); font-weight: 700; margin-right: .35rem; color: var(--st-primary-color); }
button { all: unset; cursor: pointer; font-weight: 600; padding: 0 .6rem; border-radius: 999px; white-space: nowrap;
  color: var(--st-background-color); background: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 1px; }
.open { display: none; padding: 0; color: inherit; background: none; }
.open::after { content: ' ▾'; }
@media (max-width: 1100px) {
  .open { display: block; }
  ol { display: none; }
  .opened { border-radius: 12px; padding: .5rem .8rem; flex-flow: column; gap: .4rem; align-items: start; }
  .opened ol { display: flex; flex-direction: column; gap: .2rem; }
  .opened .open { display: none; }
  li { white-space: normal; }
}
"""

JS = """
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
  for (const step of data) {
    const item = document.createElement('li');
    item.textContent = step;
    list.appendChild(item);
  }
  const button = (text, does) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.onclick = does;
    return made;
  };
  const open = button('First steps', () => { steps.classList.add('opened'); });
  open.className = 'open';
  steps.append(open, list, button('Got it', () => { kept.set(); steps.remove(); }));
  parentElement.appendChild(steps);
  // Above the page's own header.
  steps.popover = 'manual';
  steps.showPopover?.();
}
"""
