"""A button that copies the link to what is on screen; where the browser does not let it, the link is shown to copy."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from pages.shared import state

_CSS = """
.link { position: relative; }
button { all: unset; cursor: pointer; font: 0.875rem/1.6 var(--st-font, sans-serif); color: var(--st-text-color);
  padding: 2px 6px; border-radius: 6px; white-space: nowrap; }
button:hover { color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
input { position: absolute; right: 0; top: 100%; z-index: 10; width: min(28rem, 80vw); box-sizing: border-box;
  padding: 6px 8px; font: 0.8rem var(--st-code-font, monospace); color: var(--st-text-color);
  background: var(--st-background-color); border: 1px solid var(--st-primary-color); border-radius: 6px; }
"""

_JS = """
export default function ({ data, parentElement }) {
  let box = parentElement.querySelector('.link');
  if (!box) {
    box = document.createElement('div');
    box.className = 'link';
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-live', 'polite');
    box.appendChild(button);
    parentElement.appendChild(box);
  }
  const button = box.querySelector('button');
  if (box.dataset.query === data.query) return;
  box.dataset.query = data.query;
  // Another page may have come meanwhile, with the same experiment.
  const link = () => location.origin + location.pathname + '?' + data.query;
  button.textContent = 'Copy link';
  box.querySelector('input')?.remove();
  const show = () => {
    if (box.querySelector('input')) return;
    const shown = document.createElement('input');
    shown.readOnly = true;
    shown.value = link();
    shown.setAttribute('aria-label', 'link to this view');
    shown.onblur = () => shown.remove();
    shown.onkeydown = event => { if (event.key === 'Escape') button.focus(); };
    box.appendChild(shown);
    shown.focus();
    shown.select();
  };
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link());
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy link'; }, 2000);
    } catch { show(); }
  };
}
"""

_button = st.components.v2.component("rephrase_link_button", css=_CSS, js=_JS)


def link_button() -> None:
    _button(data={"query": urlencode(state.link())}, key="copy_link", width="content")
