"""The chosen head and lists of heads, the same on every page: its numbers, the way to its own page, inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core import wording
from core.attention_results import Attention
from core.patching.results import Sweep
from core.results import head_name
from core.wording import arrow, word
from pages.shared import state
from pages.shared.asking import ask
from pages.shared.service import service
from pages.shared.text import plain, quoted
from pages.shared.widgets import show

MOST = 16  # heads in a list
Place = tuple[int, int]
# The patch by which a head is chosen where nobody has chosen one.
PATCH: dict[str, Any] = {"site": "z", "direction": "instruct_to_base"}


@dataclass(frozen=True)
class Chosen:
    """The head that every page shows. place: (layer, head); why: how it came to be it, empty where a viewer chose."""

    place: Place
    why: str = ""

    @property
    def name(self) -> str:
        return head_name(*self.place)


def parse(name: str) -> Place | None:
    """(layer, head) of L13H23."""
    match = re.fullmatch(r"L(\d{1,3})H(\d{1,3})", name)
    return (int(match[1]), int(match[2])) if match else None


def of(head: Place) -> dict[str, object]:
    """A head as a download is labelled by it."""
    return {"layer": head[0], "head": head[1]}


def link(head: Place) -> None:
    """To the page of one head, which shows the chosen one."""
    page = Path(__file__).parents[1] / "head/page.py"
    label, icon = f"Everything about {head_name(*head)}", ":material/arrow_forward:"
    st.page_link(page, label=label, icon=icon, query_params=state.address())


def chosen(shape: Place) -> Chosen | None:
    """The chosen head; where none is, the one whose output moves BASE furthest, or None until that is known.

    shape: how many layers, and heads in each. Furthest as the sweep says where it is kept, else as one backward pass
    estimates it; meanwhile it is the one that was it before.
    """
    if place := state.chosen_head(*shape):
        return Chosen(place)
    if name := state.view("head"):
        st.warning(f"These models have no head {name}; layers go to {shape[0] - 1}, heads to {shape[1] - 1}.")
    before: Chosen | None = st.session_state.get("furthest")
    if before is not None and not _within(before.place, shape):
        before = None
    found = st.session_state.furthest = _swept(shape) or _estimated(shape, before)
    return found


def chosen_in(attention: Attention) -> Chosen:
    """The same; until it is known, the head whose attention differs most between the models."""
    shape = attention.weight.shape[1:3]
    return chosen((shape[0], shape[1])) or most_different(attention)


def most_different(attention: Attention) -> Chosen:
    """The head whose attention fine-tuning has changed most."""
    best = [(role, attention.top_heads(role, 1)[0]) for role in followed(attention)]
    place = max(best, key=lambda found: abs(attention.change(found[0])[found[1]]))[1]
    return Chosen(place, "its attention differs most between the models")


def swept() -> Sweep | None:
    """Every head's output patch on the current prompt, where it has been run."""
    found: Sweep | None = service().known("sweep", state.experiment(), positions="all", **PATCH)
    return found


def _swept(shape: Place) -> Chosen | None:
    return _furthest(swept(), shape, "its output, patched alone, moves BASE furthest")


def _estimated(shape: Place, before: Chosen | None) -> Chosen | None:
    answer = ask("estimate", wait=before is None, **PATCH)
    if answer.failure is not None:
        return None
    if answer.result is None or not answer.fresh:
        return before
    estimate = answer.result.as_sweep()
    return _furthest(estimate, shape, "its output moves BASE furthest, as one backward pass estimates it")


def _furthest(sweep: Sweep | None, shape: Place, why: str) -> Chosen | None:
    # Another pair's may have other heads, and is replaced in a moment.
    best = sweep.top(1) if sweep is not None and sweep.logit_diff.shape == shape else []
    return Chosen(best[0], why) if best else None


def _within(place: Place, shape: Place) -> bool:
    return place[0] < shape[0] and place[1] < shape[1]


def followed(attention: Attention) -> list[str]:
    """The roles that are shown, in the post's order; a prompt that has none of them is read from its end."""
    return [role for role in ("colon", "original", "picked") if role in attention.roles] or ["end"]


def named(attention: Attention, role: str) -> str:
    """A(src→END) with both tokens as they read: A(quick→The)."""
    source, end = (word(attention.tokens[attention.roles[r]]) for r in (role, "end"))
    return f"A({source}→{end})"


def in_words(attention: Attention, role: str) -> str:
    """The same as it is said: attention from “The” to “quick”."""
    source, end = (wording.quoted(attention.tokens[attention.roles[r]]) for r in (role, "end"))
    return f"attention from {end} to {source}"


def first_name(attention: Attention) -> str:
    """What position 0, the attention sink, is called: BOS, or by its token where it is none."""
    return "BOS" if "bos" in attention.roles else f"the first token, {quoted(attention.tokens[0])}"


def numbers(attention: Attention, head: Chosen) -> None:
    """The chosen head's numbers in one line, BASE → INSTRUCT, and the link to its page."""
    parts = " · ".join(measured(attention, head.place))
    with st.container(horizontal=True, vertical_alignment="center", key="head_numbers"):
        st.markdown(f"**{head.name}** (BASE → INSTRUCT) · {parts}", width="stretch")
        link(head.place)
    reason(head)


def measured(attention: Attention, head: Place) -> list[str]:
    """A head's numbers in words, BASE → INSTRUCT."""
    layer, h = head
    weights = {role: attention.at(role)[:, layer, h] for role in followed(attention)}
    parts = [f"{plain(named(attention, role))} {arrow(values)}" for role, values in weights.items()]
    parts.append(f"on {first_name(attention)} {arrow(attention.first[:, layer, h])}")
    return [*parts, f"writes {arrow(attention.dla[:, layer, h], plus=True)} logits"]


def reason(head: Chosen, frozen_patterns: bool = False) -> None:
    """How a head that no viewer has chosen came to be on screen.

    frozen_patterns: whether it stands beside numbers of them, which have not chosen it.
    """
    if head.why:
        where = " where patterns are not frozen" if frozen_patterns else ""
        st.caption(f"Chosen because {plain(head.why)}{where}. A clicked cell or row chooses another, on every page.")


def picker(shape: tuple[int, int], head: Place) -> None:
    """One head of the model's; choosing it chooses it everywhere."""
    choose = lambda name: state.set_view("head", name)  # noqa: E731
    show(
        st.selectbox, "Head", "pick_head", head_name(*head), choose,
        options=all_names(shape), width=180, label_visibility="collapsed",
    )  # fmt: skip


def all_names(shape: tuple[int, int]) -> list[str]:
    layers, count = shape
    return [head_name(layer, h) for layer in range(layers) for h in range(count)]


def list_input(shape: tuple[int, int], preset: Sequence[Place], caption: str) -> list[Place]:
    """Heads to choose from all of the model's; as long as nobody edits them, the preset."""
    names = all_names(shape)
    asked, known = [name for name in state.view("listed").split(",") if name], set(names)
    if absent := [name for name in asked if name not in known]:
        st.warning(f"These models have no {', '.join(absent)}.")
    edited = [name for name in asked if name in known]
    value = edited or [head_name(*place) for place in preset]
    change = lambda listed: state.set_view("listed", ",".join(listed))  # noqa: E731
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_of_heads"):
        show(
            st.multiselect, "Heads", "input_listed", value, change,
            options=names, max_selections=MOST, label_visibility="collapsed",
        )  # fmt: skip
        if edited:
            st.button("Back to the preset", on_click=lambda: state.set_view("listed", ""), key="unlist")
    st.caption("Edited list; it is part of the link." if edited else f"{caption}.")
    return [place for name in value if (place := parse(name))]
