"""What reaches the head's q, k and v, along which path: computed where it is opened, followed backwards by clicks."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cache.questions.overview import Overview
from core import definitions
from core.charts import theme
from core.charts.grid import Panel, colour_limit
from core.charts.paths import sender_at, sender_map
from core.patching.path_results import Paths
from core.path_findings import of_paths, sums
from core.results import head_name
from pages.patching.choice import direction
from pages.patching.plan import DIRECTIONS
from pages.patching.score_map import grey
from pages.shared import heads, state
from pages.shared.asking import Answer
from pages.shared.figures import figure
from pages.shared.filling import filled
from pages.shared.heads import Place
from pages.shared.text import plain
from pages.shared.widgets import choice

TITLE = "What reaches its q, k and v"
INPUTS = {"q": "queries (q)", "k": "keys (k)", "v": "values (v)"}
NOUNS = {"q": "queries", "k": "keys", "v": "values"}
WHOSE = {"head": "this head alone", "group": "its KV group"}


def section(overview: Answer, head: Place) -> None:
    """On the page of one head: opened by the address too, and part of it."""
    key = "fold_paths"
    change = lambda: state.set_view("path", head_name(*head) if st.session_state[key] else "")  # noqa: E731
    with st.expander(TITLE, expanded=bool(state.view("path")), key=key, on_change=change) as fold:
        if fold.open and overview.result is not None:
            _section(overview, overview.result, trail(head))


def trail(head: Place) -> list[Place]:
    """The followed path: the page's head, then each time a head that sends to the one before it."""
    followed = [place for name in state.view("path").split(",") if (place := heads.parse(name))]
    falls = all(after[0] < before[0] for before, after in zip(followed, followed[1:]))
    return followed if followed[:1] == [head] and falls else [head]


def _section(overview: Answer, found: Overview, followed: list[Place]) -> None:
    layer, head = followed[-1]
    with st.container(horizontal=True, vertical_alignment="bottom", key="path_controls"):
        way = direction()
        part = choice(st.segmented_control, "Into its", "into", INPUTS, required=True)
        shares = found.n_heads > found.n_groups
        alone = not shares or choice(st.segmented_control, "k and v of", "shared", WHOSE, required=True) == "head"
    _breadcrumb(followed)
    options = {"layer": layer, "head": head, "direction": way, "alone": alone}
    filled(overview, [("paths", options)], lambda paths: _draw(paths, part, followed))


def _breadcrumb(followed: list[Place]) -> None:
    """The path so far, each step of it a way back; the last one is the receiver of the map."""
    with st.container(horizontal=True, vertical_alignment="center", key="path_trail"):
        for n, place in enumerate(followed[:-1]):
            go, name = followed[: n + 1], head_name(*place)
            st.button(name, on_click=_follow, args=(go,), key=f"path_step_{n}", type="tertiary", help=f"Back to {name}")
            st.markdown("←", width="content")
        st.markdown(f"**{head_name(*followed[-1])}**", width="content")
        if len(followed) > 1:
            st.button("Back", on_click=_follow, args=(followed[:-1],), key="path_back", icon=":material/undo:")
            name = head_name(*followed[-1])
            icon = ":material/arrow_forward:"
            st.button(f"Everything about {name}", on_click=_show, args=(name,), key="path_show", icon=icon)


def _follow(places: list[Place]) -> None:
    state.set_view("path", ",".join(head_name(*place) for place in places))


def _show(name: str) -> None:
    state.set_view("head", name)
    state.set_view("path", name)


def _draw(found: Paths | None, part: str, followed: list[Place]) -> None:
    if found is None:
        st.caption("The paths are on their way.")
        return
    in_logits = found.gap.reason is not None
    values = found.effect if in_logits else found.score
    st.markdown(plain(of_paths(found)), help=definitions.PATHS)
    limit = colour_limit([Panel("", values)])
    title = f"What reaches the {NOUNS[part]} of {found.of(part)}, {DIRECTIONS[found.gap.direction]}"
    fig = sender_map(found, part, values, title, theme.LOGITS if in_logits else theme.SCORE, limit)
    read = "Each cell is one run in which that sender's change enters this input alone. "
    if followed[-1][0] > 0:
        read += "A click on a head follows the path to what reaches it. "
    if added := sums(found):
        read += f"Added up: {added}. "
    read += grey(found)

    def follow_back(carried: Sequence[int]) -> None:
        sender = sender_at(found, *carried[:2])
        if sender.kind == "head":
            _follow([*followed, (sender.layer, sender.head)])

    of = {"layer": found.receiver[0], "head": found.receiver[1], "direction": found.gap.direction}
    figure(fig, "paths", read, definitions.PATHS, found.to_frame, chooses=follow_back, of=of)
