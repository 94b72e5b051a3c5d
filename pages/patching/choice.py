"""The controls of the Patching page, and how to read what they have chosen."""

from __future__ import annotations

import streamlit as st

from cache.questions.overview import Overview
from core import definitions
from core.patching.plan import WEIGHT_SITES, unit
from core.wording import signed
from pages.patching.plan import ADVANCED, COMMON, DIRECTIONS, MEASURED, Plan
from pages.shared import state
from pages.shared.text import plain, quoted
from pages.shared.tokens import token_strip
from pages.shared.widgets import choice, show

PLACES = {"all": "all", "end": "END only", "picked": "one token"}
SHOWN = {"score": "score", "effect": "effect"} | {name: label for name, (label, *_) in MEASURED.items()}


def controls(overview: Overview) -> Plan | None:
    """Direction, site, positions, and whether scores or effects are shown; None while a token is to be picked."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="patch_controls"):
        chosen = direction()
        site = state.view("site")
        # One of the advanced stands in the list while it is the chosen one.
        listed = COMMON if site in COMMON else COMMON | {site: ADVANCED[site]}
        choice(st.selectbox, "Patched activation", "site", listed, width=290)
        with st.popover("More", key="more_patching"):
            positions = _positions(site)
            held = _frozen()
            shown = choice(st.pills, "Show", "show", SHOWN, required=True)
            _advanced(site)
    # In a place of its own, so that what stands below is moved, not made anew.
    with st.container(key="patched_position"):
        place = _picked(overview) if positions == "picked" else positions
    return None if place is None else Plan(site, chosen, place, shown, overview, held)


def _positions(site: str) -> str:
    if site in WEIGHT_SITES:
        st.caption("Weights act at all positions.")
        return "all"
    return choice(st.segmented_control, "Positions", "positions", PLACES, required=True)


def direction() -> str:
    """Which model gives, and which one runs."""
    return choice(st.segmented_control, "Donor → recipient", "direction", DIRECTIONS, required=True)


def viewed(overview: Overview) -> Plan:
    """What the view says, without controls; a token that nobody has picked is every token."""
    picked = overview.prompt.roles["picked"]
    places = "all" if state.view("site") in WEIGHT_SITES else state.view("positions")
    if places == "picked":
        places = "all" if picked is None else str(picked)
    held = state.view("frozen") == "1"
    return Plan(state.view("site"), state.view("direction"), places, state.view("show"), overview, held)


def _frozen() -> bool:
    """Whether attention patterns behind a patch are held."""
    value = state.view("frozen") == "1"
    change = lambda held: state.set_view("frozen", "1" if held else "")  # noqa: E731
    show(st.toggle, "Frozen patterns", "input_frozen", value, change, help=definitions.FROZEN)
    return value


def _advanced(site: str) -> None:
    """What is asked for more rarely; none of them is the first of the common ones."""
    change = lambda other: state.set_view("site", other or next(iter(COMMON)))  # noqa: E731
    show(
        st.pills, "Other activations, and weights", "input_advanced_site", site if site in ADVANCED else None, change,
        options=list(ADVANCED), format_func=ADVANCED.get,
    )  # fmt: skip


def _picked(overview: Overview) -> str | None:
    """The token that the viewer picks here."""
    prompt = overview.prompt
    token_strip(prompt.tokens, prompt.roles, "patched_token", lambda i: state.edit(picked=i))
    if prompt.roles["picked"] is None:
        st.info("Click the token at which activations are to be patched.")
        return None
    return str(prompt.roles["picked"])


def reading(plan: Plan) -> None:
    """What is shown and how to read it, with this prompt's numbers; or why there are no scores."""
    donor, recipient = DIRECTIONS[plan.direction].split(" → ")
    gap = plan.gap
    where = {"all": "", "end": " at END"}.get(plan.positions)
    if where is None:
        where = f" at {quoted(plan.overview.prompt.tokens[int(plan.positions)])}"
    held = f", every attention pattern behind it held at {recipient}'s" if plan.frozen_patterns else ""
    taken = "component's weights" if plan.site in WEIGHT_SITES else "activation"
    with st.container(key="reading"):
        what = "bar" if unit(plan.site) == "layer" else "cell"
        st.caption(
            f"Each {what} is one run of {recipient} with one {taken} taken from {donor}{where}{held}. Unpatched, "
            f"{recipient} has a logit difference of {signed(gap.recipient)}, {donor} of {signed(gap.donor)}"
            + ("." if gap.reason else "; a score of 1 moves all of the gap.")
        )
        if gap.reason:
            st.warning(plain(gap.reason[0].upper() + gap.reason[1:] + "."))
