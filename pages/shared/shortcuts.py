"""Keys that do something on every page, and the list of them that `?` opens.

A module that has something to do by key offers a `Shortcut`; the frame hands all of them to the script. A key never
fires while somebody types, unless it does nothing in a field of one line, with Ctrl, Alt or Meta held, or while it is
held down itself; Esc leaves the field. The browser alone opens and closes the list: no run of the page can close it.

However fast keys follow each other, each is answered once, and by the page that the ones before have made: the browser
holds a key until the run that answers to the one before tells so. They are numbered, and sent as a state, which reaches
a run that begins late; of several triggers that wait for one, Streamlit keeps the last. Behind a click on another page
they wait for that page, which they would undo. What is pressed before this script is there, a script of the very first
page holds: `EARLY`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st


@dataclass(frozen=True)
class Shortcut:
    """key: what the keyboard calls it, in lower case; does: what the list says of it; act: run as a callback is.

    event: told to the window in place of that, for what a page's own script does. With neither it is only listed:
    something else answers to it.
    """

    key: str
    does: str
    act: Callable[[], None] | None = None
    event: str = ""


# What answers to no key of a page's own, but is worth knowing.
ALWAYS = (
    Shortcut("enter", "take what was typed"),
    Shortcut("esc", "close what is open; leave the field"),
    Shortcut("?", "open and close this list"),
)

# For the page that starts everything: what is pressed on it, in no field, until this module's script takes it over.
EARLY = """
window.rephraseEarly = { keys: [], over: new AbortController() };
// A page that is refused to its viewer has no such script.
setTimeout(() => { window.rephraseEarly.over.abort(); window.rephraseEarly.keys.length = 0; }, 15000);
window.addEventListener('keydown', event => {
  const field = event.target.closest?.('input, textarea, select, [contenteditable=true]');
  if (field || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (!/^(\\S|Page.+)$/.test(event.key)) return;
  window.rephraseEarly.keys.push(event.key);
  // Streamlit has keys of its own, R and C among them.
  event.stopImmediatePropagation();
}, { capture: true, signal: window.rephraseEarly.over.signal });
"""

CSS = """
dialog { color: var(--st-text-color); background: var(--st-background-color); font: 1rem/1.5 var(--st-font, sans-serif);
  border: 1px solid var(--st-border-color, #8884); border-radius: 12px; padding: 1.2rem 1.6rem; max-width: 36rem;
  max-height: 90vh; overflow-y: auto; }
dialog::backdrop { background: #0006; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 0; align-items: baseline; }
dd { margin: 0; }
kbd { font: .9rem var(--st-code-font, monospace); background: var(--st-secondary-background-color);
  border: 1px solid var(--st-border-color, #8884); border-radius: 5px; padding: 1px 7px; }
"""

JS = """
const LOST = 5000;  // ms after which a key that nobody has answered to holds up no others
const FIELD = 'input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox]';
export default function ({ data, setStateValue, parentElement }) {
  let dialog = parentElement.querySelector('dialog');
  if (!dialog) {
    dialog = document.createElement('dialog');
    dialog.setAttribute('aria-label', 'Keyboard shortcuts');
    dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
    parentElement.appendChild(dialog);
  }
  const part = (kind, text, into) => {
    const made = document.createElement(kind);
    made.textContent = text;
    into.appendChild(made);
    return made;
  };
  dialog.replaceChildren();
  part('h2', 'Keyboard shortcuts', dialog);
  const list = part('dl', '', dialog);
  for (const { key, does } of data.listed) {
    const named = key.replace(/^page/, 'page ').replace(/\\b./g, letter => letter.toUpperCase());
    part('kbd', named, part('dt', '', list));
    part('dd', does, list);
  }
  const keys = parentElement.pressed ??= { waiting: [], sent: 0, at: -LOST };
  // A key that is sent between a click on another page and that page would bring this one back.
  const leaving = () => keys.to && location.pathname !== keys.to && performance.now() - keys.left < LOST;
  const held = () => leaving() || keys.sent > data.answered && performance.now() - keys.at < LOST;
  const answer = () => {
    while (keys.waiting.length && !held()) {
      const key = keys.waiting.shift();
      if (data.events[key]) {
        // Whoever answers says so; who comes later finds it told here.
        const heard = !window.dispatchEvent(new CustomEvent(data.events[key], { cancelable: true }));
        if (!heard) (window.rephraseUnheard ??= new Set()).add(data.events[key]);
      } else if (data.keys.includes(key)) {
        keys.sent = Math.max(keys.sent, data.answered) + 1;
        keys.at = performance.now();
        setStateValue('pressed', { key, number: keys.sent });
      }
    }
    if (keys.waiting.length && leaving()) setTimeout(() => parentElement.answer(), 50);
  };
  parentElement.answer = answer;
  const clicked = event => {
    const link = event.composedPath().find(part => part.localName === 'a' && part.href);
    if (!link || link.target || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const { origin, pathname } = new URL(link.href);
    if (origin === location.origin && pathname !== location.pathname)
      [keys.to, keys.left] = [pathname, performance.now()];
  };
  const pressed = event => {
    const at = event.composedPath()[0], key = event.key.toLowerCase();
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return;
    const line = at.matches?.('input:not([role])');
    if (line && key === 'escape') at.blur();
    if (at.closest?.(FIELD) && !(line && key.startsWith('page'))) return;
    // Behind an open list nothing happens but that it is closed.
    const own = data.events[key], inside = event.composedPath().some(part => part.localName === 'dialog' && part.open);
    // The page that comes may answer to others.
    const known = data.keys.includes(key) || held() && (key.length === 1 || key.startsWith('page'));
    if (key !== '?' && (dialog.open || !own && (inside || !known))) return;
    // Streamlit has keys of its own, R and C among them.
    event.preventDefault();
    event.stopImmediatePropagation();
    if (key !== '?') keys.waiting.push(key), answer();
    else if (dialog.open) dialog.close();
    else dialog.showModal();
  };
  parentElement.listening?.abort();
  const listening = parentElement.listening = new AbortController();
  window.addEventListener('keydown', pressed, { capture: true, signal: listening.signal });
  window.addEventListener('click', clicked, { capture: true, signal: listening.signal });
  const early = window.rephraseEarly;
  early?.over.abort();
  for (const key of early?.keys.splice(0) ?? []) window.dispatchEvent(new KeyboardEvent('keydown', { key }));
  answer();
  return () => listening.abort();
}
"""


def told(shortcuts: Sequence[Shortcut]) -> dict[str, object]:
    """What the script is to know of the keys of a page."""
    return {
        "listed": [{"key": shortcut.key, "does": shortcut.does} for shortcut in (*shortcuts, *ALWAYS)],
        "keys": [shortcut.key for shortcut in shortcuts if shortcut.act is not None],
        "events": {shortcut.key: shortcut.event for shortcut in shortcuts if shortcut.event},
        "answered": _answered(),
    }


def press(shortcuts: Sequence[Shortcut], sent: Mapping[str, Any] | None) -> None:
    """Do what a key does, which the script has sent; for callbacks."""
    acts = {shortcut.key: shortcut.act for shortcut in shortcuts if shortcut.act is not None}
    if sent and sent["number"] > _answered():
        st.session_state.keys_answered = sent["number"]
        acts.get(sent["key"], lambda: None)()


def _answered() -> int:
    """How many keys of this tab have been answered to."""
    return int(st.session_state.get("keys_answered", 0))
