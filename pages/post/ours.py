"""What the steps show of the models at hand: asked as a step needs it, or all at once by the page's one button."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.overview import Overview
from core.attention_results import Attention
from core.experiment import Experiment
from core.patching.results import Sweep
from core.post.here import SITES, Here, of_prompt, of_set
from core.post.numbers import is_posts_pair, is_posts_prompt
from core.results import Attribution
from core.sets.averages import SetAverages
from core.sets.results import SetResult
from pages.patching.plan import Plan
from pages.prompts.choosing import Chosen, viewed
from pages.shared import stage, state
from pages.shared.asking import Answer, ask, follow, so_far
from pages.shared.filling import stop_button
from pages.shared.service import service
from pages.shared.text import plain
from pages.shared.watching import line, progress_line
from pages.shared.widgets import choice

# The sweeps that a step's figure is drawn from; the last one shows what there is.
NEEDS = {"outputs": ("z",), "colon": ("z",), "values": ("z", "v", "value_only"), "origin": ("z", "w_head")}
ALL = "all"
_PRESSED = "post_computing"  # the experiment for which everything is wanted


@dataclass(frozen=True, eq=False)
class Ours:
    """Answers are what figures are drawn from; sweeps: site → what has run of it, so far too."""

    overview: Answer
    attribution: Answer
    attention: Answer
    sweeps: dict[str, Answer]
    kept: dict[str, Sweep]
    plan: Plan
    averaged: Answer | None = None

    @property
    def averages(self) -> SetAverages | None:
        """What there is, now, of the set whose numbers are wanted."""
        found: SetResult | None = None if self.averaged is None else so_far(self.averaged.job) or self.averaged.value
        return None if found is None else found.averages

    @property
    def own(self) -> bool:
        """Whether the pair on screen is the post's."""
        return is_posts_pair(service().spec(self.overview.asked.experiment))

    @property
    def own_prompt(self) -> bool:
        return is_posts_prompt(self.overview.asked.experiment)

    @property
    def answers(self) -> list[Answer]:
        averaged = [] if self.averaged is None else [self.averaged]
        return [self.overview, self.attribution, self.attention, *self.sweeps.values(), *averaged]

    def shown(self, site: str) -> Sweep:
        """What is drawn of a site: what has run of it."""
        asked = self.sweeps.get(site)
        return (asked.value if asked else None) or self.kept.get(site) or self.plan.nothing_yet(site)

    def here(self) -> Here:
        """What is whole of the prompt, or what there is of the set, now: it grows while jobs run."""
        if (averages := self.averages) is not None:
            return of_set(averages, self.plan.group_size)
        return self.of_prompt()

    def of_prompt(self) -> Here:
        """What is whole of the prompt on screen, of which the figures are."""
        swept = {site: so_far(answer.job) for site, answer in self.sweeps.items()} | self.kept
        whole = {site: sweep for site, sweep in swept.items() if sweep is not None}
        found: tuple[Attribution | None, Attention | None] = (self.attribution.result, self.attention.result)
        return of_prompt(self.plan.overview.summary, *found, whole, self.plan.group_size)


class Row:
    """The row below the heading: how much of what all steps need is there, the button that has the rest computed, and
    whose numbers stand beside the post's. None of it is drawn on the stage."""

    def __init__(self) -> None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="post_progress"):
            self._line = st.container(width="stretch")
            self._button, self._whose = st.container(width="content"), st.container(width="content")

    def whose(self, overview: Answer) -> Chosen | None:
        """The set whose averages stand beside the post's numbers; None for the prompt on screen."""
        chosen = viewed(overview.result)
        if chosen is None:
            return None
        titles, asked = {"prompt": "this prompt", "set": chosen.name}, overview.asked.experiment
        if (
            state.view("numbers") == ""
            and service().known("prompt_set", asked, rows=chosen.text, sites=SITES) is not None
        ):
            titles = dict(reversed(titles.items()))
        shown = state.view("numbers") or next(iter(titles))
        if not stage.on():
            with self._whose:
                label = "Numbers beside the post's: of this prompt, or averages over a set"
                hidden = {"label_visibility": "collapsed"}
                shown = choice(st.segmented_control, label, "numbers", titles, required=True, **hidden)
        return chosen if shown == "set" else None

    def progress(self, ours: Ours) -> None:
        """Call it once all is asked."""
        if stage.on():
            return
        with self._line:
            line(partial(_progress, ours))
        asked = [*ours.sweeps.values(), *([ours.averaged] if ours.averaged else [])]
        if any(answer.running or answer.stopped for answer in asked):
            stop_button(self._button)
        else:
            _compute_button(self._button, ours)


def found(overview: Answer, step: str, averaged: Chosen | None) -> Ours:
    """What is asked for a step, or for all of them where that was asked for; averaged: the set that is asked for."""
    plan = _plan(overview.result)
    experiment = overview.asked.experiment
    kept = {site: known for site in SITES if (known := service().known("sweep", experiment, **plan.at(site)))}
    wanted = SITES if st.session_state.get(_PRESSED) == experiment else NEEDS.get(step, ())
    return Ours(
        overview,
        ask("attribution", projection="own"),
        ask("attention"),
        {site: follow(overview, "sweep", **plan.at(site)) for site in wanted},
        kept,
        plan,
        None if averaged is None else follow(overview, "prompt_set", rows=averaged.text, sites=SITES),
    )


def _compute_button(place: DeltaGenerator, ours: Ours) -> None:
    left = not all(_now(ours, site).complete for site in SITES)
    with place:
        st.button(
            "Compute all steps", on_click=_compute, args=(ours.overview.asked.experiment,), disabled=not left,
            icon=":material/play_arrow:", key="post_compute",
        )  # fmt: skip


def _compute(experiment: Experiment) -> None:
    st.session_state[_PRESSED] = experiment


def _progress(ours: Ours) -> str:
    """Of all patched runs, how many there are; of a set, what is being done for it."""
    if ours.averaged is not None and ours.averaged.job is not None and not ours.averaged.complete:
        ran = 0 if ours.averages is None else ours.averages.n
        said = f"means over {ran} prompts so far · {plain(progress_line(ours.averaged.job))}"
        return f":small[:blue[:material/hourglass_top:] {said}]"
    sweeps = [_now(ours, site) for site in SITES]
    done, total = (sum(getattr(sweep, name) for sweep in sweeps) for name in ("done", "total"))
    if done == total:
        return ":small[:green[:material/check_circle:] everything that the steps need is there]"
    running = [answer.job for answer in ours.sweeps.values() if answer.job is not None and answer.running]
    count = f"{100 * done // total}% of what all steps need: {done:,} of {total:,} patched runs"
    if running:
        return f":small[:blue[:material/hourglass_top:] {count} · {plain(progress_line(running[0]))}]"
    return f":small[{count}]"


def _now(ours: Ours, site: str) -> Sweep:
    asked = ours.sweeps.get(site)
    return ours.kept.get(site) or (so_far(asked.job) if asked else None) or ours.plan.nothing_yet(site)


def _plan(overview: Overview) -> Plan:
    return Plan("z", "instruct_to_base", "all", "score", overview)
