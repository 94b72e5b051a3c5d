"""The prompt as tokens: each a box with its role, to be clicked. Tokens are put in as text, never as HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.prompt import role_names
from core.wording import quoted, unsigned

_CSS = """
.strip { display: flex; flex-wrap: wrap; gap: 2px 1px;
  font: 0.95rem var(--st-code-font, monospace); }
button { all: unset; cursor: pointer; white-space: pre; padding: 2px 3px 1px; border-radius: 4px; min-height: 1.5em;
  color: var(--st-text-color); background: var(--st-secondary-background-color); border: 1px solid transparent;
  display: inline-flex; flex-direction: column; align-items: flex-start; unicode-bidi: isolate; max-width: 100%;
  overflow-wrap: anywhere; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 1px; }
button.role { border-color: var(--st-primary-color); }
.role-name { font: 600 0.62rem/1 var(--st-font, sans-serif); color: var(--st-primary-color); white-space: nowrap; }
.mark { opacity: 0.45; }
.break { flex-basis: 100%; height: 0; }
"""

_JS = """
export default function ({ data: [data], setTriggerValue, parentElement }) {
  let strip = parentElement.querySelector('.strip');
  if (!strip) { strip = document.createElement('div'); strip.className = 'strip'; parentElement.appendChild(strip); }
  strip.setAttribute('role', 'group');
  strip.setAttribute('aria-label', data.label);
  const had = [...strip.querySelectorAll('button')].indexOf(strip.getRootNode().activeElement);
  strip.replaceChildren();
  data.tokens.forEach((token, i) => {
    const box = document.createElement('button');
    const text = document.createElement('span');
    for (const c of token) {
      const shown = c === '\\n' ? '⏎' : c === '\\t' ? '⇥' : c === ' ' ? '·' : null;
      const part = document.createElement('span');
      part.textContent = shown ?? c;
      if (shown) part.className = 'mark';
      text.appendChild(part);
    }
    box.appendChild(text);
    const roles = data.roles[i];
    if (roles) {
      box.className = 'role';
      const name = document.createElement('span');
      name.className = 'role-name';
      name.textContent = roles;
      box.appendChild(name);
    }
    if (data.colors) box.style.background = data.colors[i];
    box.title = data.titles[i];
    box.setAttribute('aria-label', data.titles[i]);
    box.onclick = () => setTriggerValue('clicked', i);
    strip.appendChild(box);
    if (token.endsWith('\\n')) {
      const br = document.createElement('div');
      br.className = 'break';
      strip.appendChild(br);
    }
  });
  // The focus stays where it was: the boxes are new ones.
  strip.querySelectorAll('button')[had]?.focus({ preventScroll: true });
}
"""

_TEAL = "22, 153, 140"  # as readable under the text of a light page as under that of a dark one
_strip = st.components.v2.component("rephrase_token_strip", css=_CSS, js=_JS)


def token_strip(
    tokens: Sequence[str],
    roles: Mapping[str, int | None],
    key: str,
    on_click: Callable[[int], None],
    titles: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
) -> None:
    """Draw the tokens; `on_click` gets the index of a clicked one. titles, colors: one a token."""
    places = {position for position in roles.values() if position is not None}
    named = {str(position): ", ".join(role_names(roles, position)) for position in places}
    data = {
        "tokens": list(tokens),
        "roles": named,
        "label": "the prompt's tokens",
        "titles": list(titles or map(_title, range(len(tokens)), tokens)),
        "colors": list(colors) if colors is not None else None,
    }

    def clicked() -> None:
        index = st.session_state[key].get("clicked")
        if isinstance(index, int) and 0 <= index < len(tokens):
            on_click(index)

    # In a list: see `pages.shared.behind`.
    _strip(data=[data], key=key, on_clicked_change=clicked)


def _title(position: int, token: str) -> str:
    """What a token's box is called, for hovering and for who cannot see it."""
    return f"token {position + 1}: {quoted(token)}"


def attention_strip(
    tokens: Sequence[str],
    roles: Mapping[str, int],
    weight: Sequence[float],
    key: str,
    on_click: Callable[[int], None],
) -> None:
    """The prompt coloured by attention from END: from nothing at 0 to full at 1, so that two models compare."""
    shown = {role: position for role, position in roles.items() if role in ("original", "colon", "end", "picked")}
    titles = [f"{_title(i, token)}, attention {unsigned(a, 3)}" for i, (token, a) in enumerate(zip(tokens, weight))]
    colors = [f"rgba({_TEAL}, {0.85 * float(a):.3f})" for a in weight]
    token_strip(tokens, shown, key, on_click, titles, colors)
