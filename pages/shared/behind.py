"""What runs behind every page and takes no room on it: one component with the scripts of several modules.

Each of them is written as a component's own script is, and is called as one, with an element of its own. One by one
they would cost a run of the page as much as five figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from pages.shared import chart_fit, chart_keys, charts, first_visit, focus, links, shortcuts

# Their styles stand in one sheet, so that no two of them name the same.
_PARTS = {
    "first_visit": (first_visit.JS, first_visit.CSS),
    "shortcuts": (shortcuts.JS, shortcuts.CSS),
    "charts": (charts.JS, ""),
    "chart_keys": (chart_keys.JS, chart_keys.CSS),
    "chart_fit": (chart_fit.JS, ""),
    "focus": (focus.JS, ""),
    "links": (links.JS, ""),
}
_KEY = "behind"
PLACE = f".st-key-{_KEY} {{ position: absolute; width: 0; height: 0; }}"

_JS = """
export default function ({ data: [data], parentElement, ...how }) {
  const parts = parentElement.parts ??= {};
  for (const [name, script] of Object.entries(SCRIPTS)) {
    if (!(name in data)) {
      parts[name]?.end?.();
      parts[name]?.place.remove();
      delete parts[name];
      continue;
    }
    const part = parts[name] ??= { place: parentElement.appendChild(document.createElement('div')) };
    // One that has nothing to do again does not say again how it ends.
    part.end = script({ ...how, data: data[name], parentElement: part.place }) ?? part.end;
  }
  // Streamlit ends a call that another one overtakes, too: that one goes on with these parts, or has begun to.
  return () => { if (!parentElement.isConnected) Object.values(parts).forEach(part => part.end?.()); };
}
"""


def _script(js: str) -> str:
    """A module as a function that returns what it exports."""
    head, exported, rest = js.partition("export default ")
    assert exported, "a component's script exports one function"
    return f"(() => {{{head}return {rest}}})()"


_scripts = ",\n".join(f"{name}: {_script(js)}" for name, (js, _) in _PARTS.items())
JS = f"const SCRIPTS = {{{_scripts}}};\n{_JS}"
_component = st.components.v2.component("rephrase_behind", js=JS, css="".join(css for _, css in _PARTS.values()))


def run(data: Mapping[str, object], **changed: Callable[[Any], None]) -> None:
    """Of each module that runs on this page, what its script gets; changed: of a value that a script tells, what is
    done with it, as a callback."""

    def telling(name: str, act: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: act(st.session_state[_KEY].get(name))

    told: dict[str, Any] = {f"on_{name}_change": telling(name, act) for name, act in changed.items()}
    # In a list: Streamlit looks for tables in each entry of a dictionary, which takes it a millisecond.
    _component(data=[data], key=_KEY, **told)
