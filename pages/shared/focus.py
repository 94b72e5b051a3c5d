"""The focus goes to a field that a click elsewhere has brought onto the page, so that one goes on typing there."""

from __future__ import annotations

from typing import Any

import streamlit as st

# What held the focus may give it back to another part as it closes: for a while the field has the last word, unless
# its viewer goes elsewhere.
JS = """
const LONG = 1500;  // ms
export default function ({ data, parentElement }) {
  const before = parentElement.number ?? 0;
  parentElement.number = data.number;
  if (data.number === before || !data.field) return;
  parentElement.asking?.abort();
  const asking = parentElement.asking = new AbortController(), until = performance.now() + LONG;
  for (const name of ['pointerdown', 'keydown'])
    window.addEventListener(name, () => asking.abort(), { capture: true, signal: asking.signal });
  const look = () => {
    if (asking.signal.aborted || performance.now() > until) return asking.abort();
    const field = document.querySelector(data.field);
    if (field && document.activeElement !== field) field.focus({ preventScroll: true });
    requestAnimationFrame(look);
  };
  look();
}
"""


def ask(field: str) -> None:
    """Have the browser go there once this run is drawn; field: a CSS selector; for callbacks."""
    st.session_state.focus = {"field": field, "number": int(told()["number"]) + 1}


def told() -> dict[str, Any]:
    """What the script is to know."""
    asked: dict[str, Any] = st.session_state.get("focus", {"field": "", "number": 0})
    return asked
