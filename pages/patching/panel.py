"""The chosen head beside the map: what a clicked cell is about, without leaving the page."""

from __future__ import annotations

import streamlit as st

from core.head.results import HeadReport
from core.head.sentence import PatchEvidence, head_sentence
from core.patching.plan import unit
from core.patching.results import Sweep
from core.wording import share, signed
from pages.head import controls
from pages.patching.plan import DIRECTIONS, Plan
from pages.shared import heads
from pages.shared.asking import Answer, follow
from pages.shared.figures import figures
from pages.shared.headings import part
from pages.shared.text import plain

HEIGHT = 560  # px, more than the map with its line: what stands below keeps its place whatever the panel says


def panel(overview: Answer, plan: Plan, chosen: heads.Chosen | None) -> None:
    """Its name, its sentence, its numbers and the way to its page."""
    with st.container(border=True, height=HEIGHT, key="chosen_head"):
        if chosen is None:
            part("Which head?")
            st.caption("Click a cell, or wait for the estimate of which one moves BASE furthest.")
            return
        layer, head = chosen.place
        report = follow(overview, "head", layer=layer, head=head, source="original", ov_input="recorded")
        attention = follow(overview, "attention")
        swept = follow(overview, "sweep", **plan.options)
        part(chosen.name)
        heads.link(chosen.place)
        with figures(report, attention, key="panel"):
            _said(plan, report.value, swept.value, chosen)
            lines = [_moved(plan, swept.value, chosen.place)]
            lines += heads.measured(attention.value, chosen.place) if attention.value is not None else []
            st.markdown("  \n".join(f":small[{line}]" for line in lines))
        controls.in_short(overview, plan, chosen.place)
        heads.reason(chosen, plan.frozen_patterns)


def _said(plan: Plan, report: HeadReport | None, sweep: Sweep | None, chosen: heads.Chosen) -> None:
    """Its sentence; what patching it does is part of that where the map is of outputs."""
    if report is None:
        st.caption("Its sentence is on its way.")
        return
    evidence, forth = None, plan.direction == "instruct_to_base"
    if sweep is not None and plan.site == "z" and not plan.frozen_patterns and sweep.ran(chosen.place):
        effect, score, noise = (float(a[chosen.place]) for a in (sweep.effect, sweep.score, sweep.noise_floor))
        evidence = PatchEvidence(effect, score, noise, instruct_to_base=forth)
    st.markdown(f":small[{plain(head_sentence(report, report.ov.position, evidence))}]")


def _moved(plan: Plan, sweep: Sweep | None, head: heads.Place) -> str:
    """What the map says of it."""
    kind = unit(plan.site)
    place = (head[0], {"head": head[1], "group": head[1] // plan.group_size, "layer": 0}[kind])
    if sweep is None or not sweep.ran(place):
        return "its cell has not run yet"
    effect, name = float(sweep.effect[place]), "" if kind == "head" else f"{sweep.name(*place)}: "
    moved = f"{DIRECTIONS[plan.direction]} {signed(effect)} logits"
    if not plan.gap.reason:
        moved = f"moves {share(float(sweep.score[place]))} of the gap, {moved}"
    return plain(f"{name}{moved}{plan.named}" + (", within the noise floor" if sweep.within_noise[place] else ""))
