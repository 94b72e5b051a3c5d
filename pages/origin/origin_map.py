"""What single heads' changed weights move beside what their outputs move: one figure, which fills, and its sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from cache.questions.overview import Overview
from core import definitions
from core.charts.grid import colour_limit, outline
from core.charts.heatmap import head_heatmaps
from core.charts.origin import origin_panels
from core.charts.theme import SizeName
from core.findings import of_origin
from core.patching.origin_results import EarlyLate
from core.patching.results import Sweep
from core.wording import share, signed
from pages.patching.plan import DIRECTIONS as ARROWS
from pages.patching.plan import Parts, Plan
from pages.patching.score_map import grey
from pages.shared import heads, stage, state
from pages.shared.asking import Answer, follow, so_far
from pages.shared.drawn import drawn
from pages.shared.figures import figure, figures
from pages.shared.filling import stop_button
from pages.shared.finding import finding
from pages.shared.heads import Place
from pages.shared.service import service
from pages.shared.text import plain
from pages.shared.watching import line, progress_line

CHANGED, PATCHED = "w_head", "z"


def plan(overview: Overview, direction: str) -> Plan:
    """Weights act at all positions, and so do the activations beside them."""
    return Plan(PATCHED, direction, "all", "score", overview)


def progress(overview: Answer, plan: Plan) -> Callable[[], None]:
    """The line that says what has run, with its button; call what is returned once all is asked."""
    answers = _asked(overview, plan)
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_progress"):
        with st.container(width="stretch"):
            line(partial(_line, plan, answers))
        button = st.container(width="content")
    return partial(stop_button, button)


def _line(plan: Plan, answers: list[Answer]) -> str:
    done, total = (sum(getattr(sweep, name) for sweep in _so_far(plan, answers)) for name in ("done", "total"))
    jobs = [answer.job for answer in answers]
    if done == total:
        took = sum(job.seconds for job in jobs if job is not None)
        return f":green[:material/check_circle:] all {total} exact " + (f"in {took:.1f} s" if took else "from before")
    running = [job for job in jobs if job is not None and not job.finished]
    if any(answer.stopped for answer in answers) or not running:
        return f":orange[:material/pause_circle:] stopped with {done} of {total} exact"
    count = f"{done} of {total} exact, deepest layers first"
    return f":blue[:material/hourglass_top:] {count} · {plain(progress_line(running[0]))}"


def found(overview: Answer, plan: Plan) -> Callable[[], str]:
    """What the maps show so far, in a sentence."""
    answers, depth = _asked(overview, plan), kept_depth(overview)

    def text() -> str:
        changed, patched = _so_far(plan, answers)
        return of_origin(changed, patched, depth)

    return text


def kept_depth(overview: Answer) -> EarlyLate | None:
    """Early × late, where it is known already; nothing is asked."""
    known: EarlyLate | None = service().known("early_late", overview.asked.experiment)
    return known


def maps(overview: Answer, plan: Plan, chosen: Place | None) -> None:
    """Weights, outputs, and their difference, on one scale."""
    answers = _asked(overview, plan)
    changed, patched = _values(plan, answers)
    with figures(*answers, key="map"):
        panels = origin_panels(changed, patched, plan.in_logits)
        limit = colour_limit(panels)
        _, limit = stage.steady(f"origin, {plan.unit}", (-limit, limit), settled=changed.complete and patched.complete)
        fig = drawn(_maps, plan.parts, *(answer.value for answer in answers), limit, stage.size())
        if chosen:
            fig = fig.shaped(outline(chosen, len(panels)))
        read = "Green on the left: changed here. Green on the right: carried here, changed elsewhere. "
        read += f"Click a cell to choose its head everywhere. {grey(changed)}"
        figure(fig, "origin", read, definitions.ORIGIN, partial(_table, changed, patched), heads="head")


def _maps(parts: Parts, changed: Sweep | None, patched: Sweep | None, limit: float, size: SizeName) -> go.Figure:
    plan = Plan(*parts)
    changed, patched = changed or plan.nothing_yet(CHANGED), patched or plan.nothing_yet(PATCHED)
    title = f"{ARROWS[plan.direction]}: what a head's changed weights move, and what its output moves"
    panels = origin_panels(changed, patched, plan.in_logits)
    return head_heatmaps(panels, title, plan.unit, limit=limit, fills=True, size=size)


def on_stage(overview: Answer) -> None:
    """What the maps say, and the maps."""
    shown = plan(overview.result, state.view("direction"))
    with figures(overview, key="finding"):
        finding(found(overview, shown), definitions.ORIGIN)
    chosen = heads.chosen((shown.overview.n_layers, shown.overview.n_heads))
    maps(overview, shown, chosen.place if chosen else None)


def numbers(overview: Answer, plan: Plan, chosen: heads.Chosen | None) -> None:
    """The chosen head's two numbers in one line, and the way to its page."""
    with st.container(horizontal=True, vertical_alignment="center", key="head_numbers"):
        if chosen is None:
            st.caption("Click a cell, or wait for the estimate of which head moves BASE furthest.")
            return
        sweeps = shown(overview, plan)
        said = [f"{name} {_moved(plan, sweep, chosen.place)}" for name, sweep in zip(("weights", "output"), sweeps)]
        st.markdown(f"**{chosen.name}** ({ARROWS[plan.direction]}) · {' · '.join(said)}", width="stretch")
        heads.link(chosen.place)
    heads.reason(chosen)


def _moved(plan: Plan, sweep: Sweep, place: Place) -> str:
    if not sweep.ran(place):
        return "not yet run"
    effect = f"{signed(float(sweep.effect[place]))} logits"
    moved = effect if plan.gap.reason else f"{share(float(sweep.score[place]))} of the gap, {effect}"
    return moved + (", within the noise floor" if sweep.within_noise[place] else "")


def _table(changed: Sweep, patched: Sweep):
    frames = [sweep.to_frame() for sweep in (changed, patched)]
    keys = ["direction", "layer", "head"]
    both = [frame.drop(columns="site").set_index(keys).add_suffix(f"_{frame.site[0]}") for frame in frames]
    return both[0].join(both[1]).reset_index()


def _asked(overview: Answer, plan: Plan) -> list[Answer]:
    return [follow(overview, "sweep", **plan.at(site)) for site in (CHANGED, PATCHED)]


def shown(overview: Answer, plan: Plan) -> list[Sweep]:
    """What is drawn, of weights and of outputs: the last good ones, while new ones are on their way."""
    return _values(plan, _asked(overview, plan))


def _values(plan: Plan, answers: list[Answer]) -> list[Sweep]:
    return [answer.value or plan.nothing_yet(site) for answer, site in zip(answers, (CHANGED, PATCHED))]


def _so_far(plan: Plan, answers: list[Answer]) -> list[Sweep]:
    return [so_far(answer.job) or plan.nothing_yet(site) for answer, site in zip(answers, (CHANGED, PATCHED))]
