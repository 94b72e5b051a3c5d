"""The lower part of the Prompts page: one closer look at a time, computed only while it is open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from core.charts import theme
from core.charts.grid import Panel
from core.charts.heatmap import MODEL_TITLES, head_heatmaps
from core.charts.sets import interval_bars, layer_means, site_means
from core.patching.plan import unit
from core.results import group_name, head_name
from core.sets import definitions
from core.sets.averages import SetAverages, SitePatches
from core.sets.results import SetResult, with_interval
from core.sets.statistics import TOP, Average
from core.wording import share
from pages.patching.choice import direction
from pages.patching.plan import SITES
from pages.prompts.choosing import Chosen
from pages.prompts.recognize import recognize
from pages.prompts.spread import ask_for, named
from pages.shared import state
from pages.shared.asking import Answer
from pages.shared.figures import below, figure, figures
from pages.shared.tables import choosable, worded
from pages.shared.widgets import choice

TITLES = {
    "groups": "By structure and instruction",
    "patching": "Patches",
    "attribution": "Direct attribution",
    "attention": "Attention",
    "recognize": "Recognize",
    "rows": "Every row",
}
ROLES = {"original": "the original word", "colon": "the colon", "first": "the first token", "bos": "BOS"}
GROUPS = {"structure": "structure", "instruction": "instruction"}


def section(overview: Answer, chosen: Chosen, answer: Answer) -> list[Answer]:
    """The chosen one; what it has asked besides."""
    label = "Closer looks, each computed once it is opened"
    part = choice(st.segmented_control, label, "set_part", TITLES, required=True)
    with st.container(key="section"):
        if part == "patching":
            return _patching(overview, chosen)
        if part == "recognize":
            return recognize(overview, chosen)
        parts: dict[str, Callable[[Answer, Chosen, SetResult], None]]
        parts = {"groups": _groups, "attribution": _attribution, "attention": _attention, "rows": _rows}
        with figures(answer, key="section"):
            if answer.value is not None:
                parts[part](overview, chosen, answer.value)
    return []


def _groups(overview: Answer, chosen: Chosen, result: SetResult) -> None:
    """Means of each structure and of each instruction."""
    if result.averages is None:
        return
    groups, frame = result.averages.by_group, result.averages.summary_frame()
    for place, (column, name) in zip(st.columns(2, gap="medium"), GROUPS.items()):
        rows = {label: found for (of, label), found in groups.items() if of == column}
        with place:
            if not rows:
                st.caption(f"No row of this set names its {name}.")
                continue
            fig = interval_bars(rows, f"Mean logit difference by {name}")
            read = "Bars are means, lines their 95% intervals: where a line crosses 0 the sign is open."
            table = frame[frame[column].notna()]
            figure(fig, f"by_{column}", read, definitions.SET, table, of=named(chosen))


def _attribution(overview: Answer, chosen: Chosen, result: SetResult) -> None:
    """Every layer's attention and MLP, then every head."""
    if result.averages is None:
        return
    found = result.averages.attribution
    read = f"Means over {result.averages.n} prompts, lines: 95% intervals; pale: an interval that holds 0."
    table = result.averages.attribution_frame().query("component != 'head'")
    figure(layer_means(found), "set_layers", read, definitions.SET_MAPS, table, of=named(chosen))
    title = "Mean direct logit attribution of every head"
    _models_map(found["head"], title, theme.LOGITS, "diverging", "set_attribution", chosen, overview)


def _attention(overview: Answer, chosen: Chosen, result: SetResult) -> None:
    if result.averages is None:
        return
    roles = {role: ROLES[role] for role in ROLES if role in result.averages.attention}
    role = choice(st.segmented_control, "From END to", "set_role", roles, required=True)
    title = f"Mean attention from END to {roles[role]}"
    found = result.averages.attention[role]
    _models_map(found, title, theme.ATTENTION, "diverging", "set_attention", chosen, overview)


def _models_map(found: Average, title: str, unit_: str, scale, key: str, chosen: Chosen, overview: Answer) -> None:
    """BASE | INSTRUCT | INSTRUCT − BASE of means with axes (model, layer, head)."""
    panels = [Panel(name, found.mean[m], pale=found.spans_zero[m]) for m, name in enumerate(MODEL_TITLES)]
    layers, count = found.mean.shape[1:]
    notes = [
        ["; ".join(f"{name} {with_interval(found, m, layer, h)}" for m, name in enumerate(MODEL_TITLES))
         for h in range(count)] for layer in range(layers)
    ]  # fmt: skip
    head = state.chosen_head(layers, count)
    fig = head_heatmaps(panels, title, unit_, scale, chosen=head, notes=notes)
    read = f"Means over {found.n} prompts; pale: the 95% interval holds 0."
    figure(fig, key, read, definitions.SET_MAPS, lambda: _cells(found), heads="head", of=named(chosen))


def _cells(found: Average) -> pd.DataFrame:
    model, layer, head = np.indices(found.mean.shape).reshape(3, -1)
    columns = {name: getattr(found, name).ravel() for name in ("mean", "se", "ci_low", "ci_high", "same_sign")}
    of = np.array(["base", "instruct", "change"], object)[model]
    return pd.DataFrame({"model": of, "layer": layer, "head": head, "n": found.n} | columns)


def _patching(overview: Answer, chosen: Chosen) -> list[Answer]:
    """Where a patch moves the logit difference in every prompt, and which places stay on top whichever prompts are
    drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="set_patch_controls"):
        way = direction()
        site = choice(st.selectbox, "Patched activation", "set_site", SITES, width=290)
    answer = ask_for(overview, chosen, sites=(site,), direction=way)
    with figures(answer, key="set_patches"):
        averages: SetAverages | None = None if answer.value is None else answer.value.averages
        if averages is None:
            st.info("The first patches appear once one prompt has been swept.")
            return [answer]
        patches = averages.patching[0]
        left, right = st.columns(2, gap="medium")
        with left:
            _patch_map(patches, chosen)
        with right:
            _stable(patches, chosen)
    return [answer]


def _patch_map(patches: SitePatches, chosen: Chosen) -> None:
    """Every place of the site with its mean; a click on a head or KV group chooses it."""
    effect, kind = patches.effect, unit(patches.site)
    layers, count = effect.mean.shape
    notes = [[_note(patches, (layer, h)) for h in range(count)] for layer in range(layers)]
    head = state.chosen_head(layers, count) if kind == "head" else None
    fig = site_means(patches, f"{SITES[patches.site]}, over the set", head, notes)
    read = f"{effect.n} prompts; pale: the 95% interval holds 0."
    clicks = "" if kind == "layer" else kind
    figure(fig, "set_patching", read, definitions.SET_PATCHES, patches.to_frame, heads=clicks, of=named(chosen))


def _note(patches: SitePatches, place: tuple[int, int]) -> str:
    stays = f"among the first {TOP} in {share(float(patches.top_share[place]))} of the draws"
    return f"effect {with_interval(patches.effect, *place)} logits; q = {patches.q[place]:.2g}; {stays}"


def _stable(patches: SitePatches, chosen: Chosen) -> None:
    """The places that are among the largest in most of the draws."""
    # The last of the keys counts most.
    order = np.lexsort((-np.abs(patches.effect.mean).ravel(), -patches.top_share.ravel()))[: TOP + 4]
    places = [(int(n // patches.top_share.shape[1]), int(n % patches.top_share.shape[1])) for n in order]
    kind = unit(patches.site)
    name: Callable[[int, int], str] = {"head": head_name, "group": group_name}.get(kind, lambda layer, _: f"L{layer}")
    rows = [
        {
            kind: name(*place),
            f"in first {TOP}": share(float(patches.top_share[place])),
            "share": share(float(patches.ratio.value[place])),
            "mean effect [95%]": with_interval(patches.effect, *place),
            "q": f"{patches.q[place]:.2g}",
            "same sign": share(float(patches.effect.same_sign[place])),
        }
        for place in places
    ]
    table = pd.DataFrame(rows)
    st.markdown(f"**Which stay among the first {TOP}**", help=definitions.SET_PATCHES)
    if kind == "head":
        choosable(table, "stable_heads", places, height=330)
    else:
        st.dataframe(table, hide_index=True, height=330)


def _rows(overview: Answer, chosen: Chosen, result: SetResult) -> None:
    """Every row: those left out first, each with its reason, then those of which a later answer was taken."""
    out, taken = len(result.refused), len(result.chosen)
    said = (
        f"{len(result.ran)} of {result.usable} prompts have run; {out} {'row is' if out == 1 else 'rows are'} left out"
    )
    st.markdown(f"{said}; in {taken} a later answer was taken, the first ones being several tokens for this pair.")
    frame = result.to_frame()
    frame = frame.assign(_order=np.where(~frame["used"], 0, np.where(frame["reason"] != "", 1, 2)))
    frame = frame.sort_values("_order", kind="stable").drop(columns="_order")
    st.dataframe(worded(frame), hide_index=True, key="set_rows_table")
    below("set_rows", "Rows that are left out come first.", definitions.SET, result.to_frame, named(chosen))
