"""The lower part of the Origin page: one closer look at a time, computed only while it is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, log2

import numpy as np
import pandas as pd
import streamlit as st

from core import definitions
from core.charts.attribution import layer_bars
from core.charts.origin import boundary_curves, origin_scatter
from core.patching.origin_results import PATCHED, SHARE, Block, EarlyLate, Origin, WeightNorms
from core.patching.plan import CARRIED, DIRECTIONS, Direction
from core.patching.results import Sweep
from core.results import head_name
from core.wording import share, signed
from pages.origin import origin_map
from pages.patching.plan import Plan
from pages.patching.score_map import grey
from pages.shared.asking import Answer, follow
from pages.shared.figures import figure
from pages.shared.filling import filled
from pages.shared.heads import Place
from pages.shared.widgets import choice

TITLES = {
    "depth": "Early × late",
    "block": "Smallest block of layers",
    "scatter": "Changed against carried",
    "layers": "Attention and MLPs",
    "norms": "Size of the change",
}
CHOOSES = "Click a bar to choose the head of its layer that moves furthest."
MINUTE = 60.0  # seconds from which on it is said how long something takes


def section(overview: Answer, plan: Plan, head: Place | None) -> None:
    """The chosen one; head: the chosen head."""
    label = "Closer looks, each computed once it is opened"
    part = choice(st.segmented_control, label, "origin", TITLES, required=True)
    sections: dict[str, Callable[[Answer, Plan], None]] = {"depth": _depth, "block": _block, "layers": _layers}
    sections |= {"scatter": partial(_scatter, head=head), "norms": partial(_norms, head=head)}
    with st.container(key="section"):
        _takes(overview, plan, part)
        sections[part](overview, plan)


def _takes(overview: Answer, plan: Plan, part: str) -> None:
    """How long it takes where that is minutes, as the sweep of the outputs took on this machine."""
    shape = plan.overview
    # In sweeps over all heads: what is run from every layer up once counts for one head.
    cost = {"depth": 2, "block": ceil(log2(shape.n_layers + 1)), "layers": 6, "norms": 3, "scatter": shape.n_heads}
    job = follow(overview, "sweep", **plan.at("z")).job
    seconds = job.seconds * cost[part] / shape.n_heads if job is not None and job.finished else 0.0
    if seconds >= MINUTE:
        st.caption(f"About {seconds / 60:.0f} min on this machine.")


def _sweeps(plan: Plan, *sites: str, **more: str) -> list[tuple[str, dict]]:
    return [("sweep", plan.at(site) | more) for site in sites]


def _depth(overview: Answer, plan: Plan) -> None:
    def draw(found: EarlyLate | None) -> None:
        found = found or EarlyLate(*(_nothing(plan, direction) for direction in DIRECTIONS))
        scores = found.gap.reason is None
        curves = {
            "INSTRUCT below the boundary": found.up_to if scores else found.ib - found.bb,
            "INSTRUCT from it on": found.onwards if scores else found.bi - found.bb,
        }
        effects = {"early": found.early, "late": found.late, "interaction": found.interaction}
        left, right = st.columns(2)
        with left:
            unit = "share of the gap" if scores else "logits"
            fig = boundary_curves(curves, "Layers of INSTRUCT within BASE", unit, total=1.0 if scores else None)
            read = "Where the first curve rises, fine-tuning changed what matters."
            figure(fig, "cumulative", read, definitions.EARLY_LATE, found.to_frame)
        with right:
            fig = boundary_curves(effects, "Main effects and their interaction", "logits")
            read = f"Early + late = the gap, {signed(found.gap.size)} logits, at every boundary."
            figure(fig, "early_late", read, definitions.EARLY_LATE, found.to_frame)

    filled(overview, [("early_late", {})], draw)


def _nothing(plan: Plan, direction: Direction) -> Sweep:
    return Plan("resid_pre", direction, "all", "score", plan.overview).nothing_yet("resid_pre")


def _block(overview: Answer, plan: Plan) -> None:
    if plan.gap.reason:
        st.info("Without a gap there is no share of it that a block of layers could give.")
        return
    maps = origin_map.shown(overview, plan)

    def draw(block: Block | None, single: Sweep | None) -> None:
        scores = (single or plan.nothing_yet("w_layer")).score[:, 0]
        rows = {"weights of one layer": scores[None]}
        fig = layer_bars(rows, "Whole layers alone, and the smallest block of them", plan.unit, series=("one layer",))
        if block is not None and block.layers:
            first, last = block.layers
            fig.add_vrect(x0=first - 0.5, x1=last + 0.5, fillcolor="#16998c", opacity=0.15, line_width=0, layer="below")
        tables = [] if block is None else [block.to_frame()]
        read, table = f"{_block_said(block)} {CHOOSES}", pd.concat(tables) if tables else pd.DataFrame()
        figure(fig, "block", read, definitions.BLOCK, table, heads=partial(_furthest_of, maps))

    filled(overview, [("smallest_block", {"direction": plan.direction}), *_sweeps(plan, "w_layer")], draw)


def _block_said(block: Block | None) -> str:
    if block is None or (block.layers is None and np.isnan(block.shorter)):
        return "The shaded layers will be the fewest whose weights give 90% of the gap."
    if block.layers is None:
        return f"No block of layers gives {share(SHARE)} of the gap; the most so far is {share(block.shorter)}."
    first, last = block.layers
    said = f"Shaded: the weights of layers {first}–{last} give {share(block.score)} of the gap"
    shorter = f"; the best block one layer shorter {share(block.shorter)}" if np.isfinite(block.shorter) else ""
    return f"{said}{shorter}."


def _scatter(overview: Answer, plan: Plan, head: Place | None) -> None:
    def draw(changed: Sweep | None, patched: Sweep | None, carried: Sweep | None) -> None:
        found = _origin(plan, "w_head", changed, carried, patched)
        faint = found.changed.within_noise & found.carried.within_noise
        layers, heads = found.changed.logit_diff.shape
        names = [head_name(layer, h) for layer in range(layers) for h in range(heads)]
        axes = (f"carried, {plan.unit}", f"changed here, {plan.unit}")
        both = plan.values(found.carried), plan.values(found.changed)
        fig = origin_scatter(*both, names, "Every head: changed here against carried", axes, True, faint, head)
        read = "Up: fine-tuning changed this head. Right: its own weights pass on what changed before it. "
        figure(fig, "changed_carried", read + grey(found.changed), definitions.ORIGIN, found.to_frame, heads="head")

    filled(overview, _sweeps(plan, "w_head", "z") + _sweeps(plan, "z", source=CARRIED), draw)


def _origin(plan: Plan, site: str, *sweeps: Sweep | None) -> Origin:
    """Of changed, carried and patched, or what there is of them."""
    sites = (site, PATCHED[site], PATCHED[site])
    return Origin(*(sweep or plan.nothing_yet(of) for sweep, of in zip(sweeps, sites)))


def _layers(overview: Answer, plan: Plan) -> None:
    def draw(*sweeps: Sweep | None) -> None:
        found = {name: _origin(plan, *given) for name, given in zip(kinds.values(), _in_threes(kinds, sweeps))}
        rows = {
            name: np.stack([plan.values(each.changed)[:, 0], plan.values(each.carried)[:, 0]])
            for name, each in found.items()
        }
        title = "Every attention and every MLP: changed here, and carried"
        fig = layer_bars(rows, title, plan.unit, series=("changed here", "carried"))
        sums = [f"{name} {signed(float(np.nansum(values[0])))}" for name, values in rows.items()]
        read = f"Each alone; the sum of what was changed: {', '.join(sums)} ({plan.unit}). {CHOOSES}"
        tables = partial(pd.concat, [each.to_frame() for each in found.values()])
        figure(fig, "changed_layers", read, definitions.ORIGIN, tables, heads=partial(_furthest_of, maps))

    maps, kinds = origin_map.shown(overview, plan), {"w_attn": "attention", "w_mlp": "MLP"}
    asked = []
    for site in kinds:
        asked += _sweeps(plan, site) + _sweeps(plan, PATCHED[site], source=CARRIED) + _sweeps(plan, PATCHED[site])
    filled(overview, asked, draw)


def _furthest_of(maps: list[Sweep], carried: Sequence[int]) -> Place:
    """Of a bar's layer the head that moves the recipient furthest, by its own weights or by its output."""
    layer = carried[0]
    return layer, int(np.max([np.abs(np.nan_to_num(sweep.effect[layer])) for sweep in maps], axis=0).argmax())


def _in_threes(sites, sweeps) -> list[tuple]:
    return [(site, *sweeps[3 * n : 3 * n + 3]) for n, site in enumerate(sites)]


def _norms(overview: Answer, plan: Plan, head: Place | None) -> None:
    def draw(norms: WeightNorms | None, *sweeps: Sweep | None) -> None:
        if norms is None:
            st.info("The weights of both models are being compared.")
            return
        heads, attention, mlp = (s or plan.nothing_yet(site) for s, site in zip(sweeps, sites))
        axes = ("‖ΔW‖ / ‖W‖", f"own changed weights, {plan.unit}")
        names = [heads.name(*place) for place in np.ndindex(norms.heads.shape)]
        layers = range(len(norms.mlp))
        sizes = np.concatenate([norms.attention, norms.mlp])
        effects = np.concatenate([plan.values(attention)[:, 0], plan.values(mlp)[:, 0]])
        noise = np.concatenate([attention.within_noise[:, 0], mlp.within_noise[:, 0]])
        of_layers = [f"attention {layer}" for layer in layers] + [f"MLP {layer}" for layer in layers]
        left, right = st.columns(2)
        with left:
            fig = origin_scatter(norms.heads, plan.values(heads), names, "Heads", axes, False, heads.within_noise, head)
            table = heads.to_frame().assign(weight_change=norms.heads.ravel())
            figure(fig, "head_norms", grey(heads), definitions.WEIGHT_NORMS, table, heads="head")
        with right:
            fig = origin_scatter(sizes, effects, of_layers, "Attention and MLPs of whole layers", axes, False, noise)
            table = pd.concat([attention.to_frame(), mlp.to_frame()]).assign(weight_change=sizes)
            read = "Far right and near 0: a large change that does nothing here."
            figure(fig, "layer_norms", read, definitions.WEIGHT_NORMS, table)

    sites = ("w_head", "w_attn", "w_mlp")
    filled(overview, [("weight_norms", {}), *_sweeps(plan, *sites)], draw)
