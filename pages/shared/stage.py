"""The stage: every page as one screen of 1280 × 720, larger where there is more, to be read from the last row.

It shows what its page found, the prompt, and the page's main figure with large type; what failed or is still computed
is told, and nothing else. It is part of the view, and so of the address. The axes of its figures stay while prompts
are edited, so that bars can be compared by eye: they grow with a value that would leave them, until R fits them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.charts import theme
from pages.shared import state
from pages.shared.shortcuts import Shortcut

# One column, without Streamlit's header and a page's question; what is told lies over the page and moves nothing.
_CSS = """
.stApp {
  /* A sidebar that was there stays, empty. Nobody hovers. */
  .stAppHeader, .stSidebar, .st-key-finding [data-testid=stTooltipIcon] { display: none; }
  .stHeading:has(h1) { position: absolute; clip-path: inset(50%); }
  .stMainBlockContainer { padding: .4rem 2rem 0; }
  .stMainBlockContainer [data-testid=stVerticalBlock] { gap: .35rem; }
  .st-key-stage_pages { min-height: 1.7rem; }
  .st-key-stage_pages a { padding: 0 .5rem; }
  .st-key-prompt_bar { position: relative; }
  .st-key-stage_size { position: absolute; }
  .st-key-prompt_bar [data-testid=stWidgetLabel] { display: none; }
  .st-key-prompt_bar [data-testid=stTextInputRootElement] { height: 2.6rem; }
  .st-key-prompt_bar [data-testid=stColumn] { min-height: 2.6rem; }
  .st-key-prompt_bar :is(input, textarea) { font-size: 1.35rem; }
  .st-key-prompt_bar [class*=st-key-input_sentence] input { font-weight: 600; }
  .st-key-words { min-height: 2.6rem; }
  .st-key-words p { font-size: 1.35rem; }
  .st-key-prompt_bar [class*=st-key-input_original] input, .st-key-prompt_bar [class*=st-key-input_answer] input {
    font-weight: 600; text-align: center; }
  .st-key-prompt_bar input::placeholder { font-weight: 400; }
  .st-key-answer_box input::placeholder { color: inherit; opacity: 0.85; }
  .st-key-prompt_bar [data-testid^=stBaseButton-pills] { min-height: 2.3rem; }
  .st-key-prompt_bar [data-testid^=stBaseButton-pills] p { font-size: 1.2rem; }
  [class*=st-key-pick_original] { max-height: 2.1rem; }
  .st-key-suggested { height: 2.1rem; }
  .st-key-told { position: absolute; top: 100%; left: 0; right: 0; z-index: 6; }
  .st-key-told p { font-size: 1.2rem; }
  /* What lies over the page hides it. */
  :has(.st-key-told), .st-key-told { background-color: inherit; }
  /* One line of them, below the figure. */
  .st-key-cautions { position: fixed; bottom: .3rem; left: 2rem; right: 5rem; width: auto; flex-flow: row; gap: 1rem;
    z-index: 6; }
  .st-key-cautions > * { flex: 0 1 auto; min-width: 0; width: auto; }
  .st-key-cautions p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  /* Streamlit draws what follows a text one rem over it. */
  .st-key-finding { min-height: 4.1rem; padding-bottom: 1rem; }
  .st-key-finding p { font-size: 1.5rem; line-height: 1.35; min-height: 2.7em; }
  :has(> .st-key-status) { position: fixed; bottom: .2rem; left: auto; right: 2rem; width: max-content; }
  .st-key-status { width: max-content; }
}
@media (max-width: 900px) {
  .st-key-prompt_bar :is(input, textarea, p), .st-key-finding p { font-size: 1.1rem !important; }
  [class*=st-key-pick_original], .st-key-suggested { max-height: none; height: auto; }
}
"""
# Tells how many eighths of 1280 × 720 the window holds, whenever that changes.
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const told = () => {
    const eighths = Math.floor(8 * Math.min(innerWidth / 1280, innerHeight / 720));
    const held = Math.max(data.least, Math.min(data.most, eighths));
    if (held !== parentElement.told) setTriggerValue('eighths', parentElement.told = held);
  };
  parentElement.told ??= data.eighths;
  parentElement.listening?.abort();
  const listening = parentElement.listening = new AbortController();
  window.addEventListener('resize', told, { signal: listening.signal });
  told();
  return () => listening.abort();
}
"""
_window = st.components.v2.component("rephrase_stage_size", js=_JS)
_KEY = "stage_size"
_SHOWN = "stage"  # the parameter of the view


def on() -> bool:
    return state.view(_SHOWN) == "1"


def style() -> str:
    """The page's look. On a larger screen its lengths, all of them in rem, are longer."""
    return f"{_CSS}:root {{ font-size: {2 * _eighths()}px; }}" if on() else ""


def measure() -> None:
    """On it: have the browser say how large its window is; for the frame."""

    def told() -> None:
        eighths = st.session_state[_KEY].get("eighths")
        if eighths in theme.EIGHTHS:
            st.session_state.eighths = eighths

    if on():
        data = {"eighths": _eighths(), "least": theme.EIGHTHS[0], "most": theme.EIGHTHS[-1]}
        _window(data=data, key=_KEY, on_eighths_change=told)


def _eighths() -> int:
    """How large the screen is, in eighths of the one that the stage is laid out for."""
    return st.session_state.get("eighths", theme.EIGHTHS[0])


def size(name: str = "large") -> theme.SizeName:
    """Of a figure; name: what it has on the stage."""
    return theme.on_screen_of(name, _eighths()) if on() else "normal"


def pixels(rem: float) -> int:
    """A length in px, where Streamlit takes none in rem."""
    return round(2 * _eighths() * rem) if on() else round(16 * rem)


def toggle() -> None:
    """Enter or leave it; for callbacks."""
    state.set_view(_SHOWN, "" if on() else "1")


def fit() -> None:
    """Let every axis begin anew from what it shows next; for callbacks."""
    st.session_state.spans = {}


def steady(
    name: str,
    span: theme.Span,
    settled: bool = True,
    axis: Callable[[theme.Span], theme.Span] = lambda span: span,
) -> theme.Span:
    """What an axis of values spans: off the stage what it needs, on it no less than it has spanned before.

    name: of what is compared; settled: whether its values are final, and worth to be kept. axis: what it is to span,
    by what its values do: the room for a number beside a bar is a share of the whole.
    """
    if not on():
        return axis(span)
    spans: dict[str, theme.Span] = st.session_state.setdefault("spans", {})
    wide = theme.union(span, spans.get(name))
    if settled:
        spans[name] = wide
    return axis(wide)


def turn(pages: Sequence[StreamlitPage], shown: StreamlitPage) -> None:
    """Go to the page that was asked for by key, if one was; for the frame, once it knows which one is on."""
    at = next(n for n, page in enumerate(pages) if page.url_path == shown.url_path)
    asked = at + st.session_state.pop("turned", 0)
    if asked != at and 0 <= asked < len(pages):
        st.switch_page(pages[asked], query_params=state.address())


def turning(turn: Callable[[int], None] | None = None) -> tuple[Shortcut, ...]:
    """The keys of a presenter's clicker: pages scroll by them off the stage. turn: what they do on the page that is on.

    By default they go to the next page, or to the one before.
    """
    listed = ((1, "pagedown", "the next page"), (-1, "pageup", "the page before"))
    return tuple(
        Shortcut(key, f"on the stage: {does}", partial(turn or ask_for, step) if on() else None)
        for step, key, does in listed
    )


def ask_for(step: int) -> None:
    """Go on or back by a page; for callbacks."""
    st.session_state.turned = step


SHORTCUTS = (
    Shortcut("p", "enter or leave the stage: one screen a page, in large type", toggle),
    Shortcut("r", "on the stage: fit the axes to the figures on screen", fit),
)
