"""What a report of one experiment holds, from the results that there are: the pages' figures, with their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from core import definitions, findings
from core.charts import theme
from core.charts.attribution import layer_attribution, layer_bars
from core.charts.depth import logit_lens
from core.charts.grid import Panel, colour_limit
from core.charts.heatmap import Columns, head_heatmaps, model_panels
from core.charts.origin import origin_panels
from core.charts.patching import value_output_scatter
from core.charts.tokens import logit_difference_bars, top_tokens
from core.export.report import Section, report
from core.export.results import Results
from core.patching.plan import unit
from core.patching.results import Sweep
from core.results import checks_frame
from core.wording import located, quoted

_RECIPIENTS = {"instruct_to_base": "INSTRUCT → BASE", "base_to_instruct": "BASE → INSTRUCT"}


def experiment_report(results: Results, description: Mapping[str, object]) -> str:
    """The report of one experiment. description: experiment and manifest."""
    prompt = results.prompt
    title = f"{quoted(prompt.answer)} in place of {quoted(prompt.original)}: BASE and INSTRUCT compared"
    return report(title, prompt.text, sections(results), description)


def sections(results: Results) -> list[Section]:
    """In the order of the pages: what the models prefer, where it is written, attended to, patched, and changed."""
    return [
        *_models(results),
        *_attribution(results),
        *_attention(results),
        *_patching(results),
        *_origin(results),
        *_checks(results),
    ]


def _models(results: Results) -> Iterator[Section]:
    prompt, summary = results.prompt, results.summary
    said = findings.of_models(summary, prompt.answer, prompt.original)
    bars = logit_difference_bars(summary, prompt.answer, prompt.original)
    yield Section("What the models prefer", "summary", said, definitions.LOGIT_DIFF, bars, summary.to_frame())
    tops = [found.to_frame().assign(model=model) for model, found in zip(("BASE", "INSTRUCT"), summary.top)]
    table = pd.concat(tops, ignore_index=True)
    yield Section(
        "Most likely next tokens", "top_tokens", "The ten that each model ranks first.", definitions.TOP_TOKENS,
        top_tokens(summary, prompt.answer, prompt.original), table[["model", *tops[0].columns[:-1]]],
    )  # fmt: skip


def _attribution(results: Results) -> Iterator[Section]:
    found = results.attribution
    if found is not None:
        frame, said = found.to_frame(), findings.of_attribution(found)
        layers = frame[frame["component"] != "head"]
        title = "Where the logit difference is written"
        yield Section(title, "layer_attribution", said, definitions.ATTRIBUTION, layer_attribution(found), table=layers)
        figure = head_heatmaps(model_panels(found.head), title="Direct logit attribution of every head")
        read = "One cell a head, one scale for all three."
        heads = frame[frame["component"] == "head"]
        yield Section("Head by head", "head_attribution", read, definitions.ATTRIBUTION, figure, table=heads)
    if results.depth is not None:
        said = findings.of_depth(results.depth)
        figure, table = logit_lens(results.depth), results.depth.to_frame()
        yield Section("Along the depth", "logit_lens", said, definitions.DEPTH, figure, table)


def _attention(results: Results) -> Iterator[Section]:
    found = results.attention
    if found is None:
        return
    for role in [role for role in ("original", "colon", "picked") if role in found.roles]:
        at = found.roles[role]
        panels, name = model_panels(found.at(role)), f"A({quoted(found.tokens[at])}→END)"
        figure = head_heatmaps(panels, title=name, unit=theme.ATTENTION)
        table = found.to_frame()
        read = f"{role.capitalize()}: {located(found.tokens, at)}. {found.layers(role).line()}."
        yield Section(
            f"Attention to {quoted(found.tokens[at])}", f"attention_{role}", read, definitions.ATTENTION, figure,
            table[table["role"] == role],
        )  # fmt: skip


def _patching(results: Results) -> Iterator[Section]:
    for sweep in results.sweeps:
        what = f"{sweep.site}, {_RECIPIENTS[sweep.gap.direction]}"
        where = "" if sweep.positions == "all" else f", positions: {sweep.positions}"
        where += ", patterns frozen" if results.frozen_patterns else ""
        values, shown = _shown(sweep)
        title = f"Patches of {what}{where}"
        if unit(sweep.site) in ("head", "group"):
            columns: Columns = "head" if unit(sweep.site) == "head" else "KV group"
            panels = (Panel(_RECIPIENTS[sweep.gap.direction], values, faint=sweep.within_noise),)
            figure = head_heatmaps(panels, title, shown, columns=columns)
        else:
            faint = sweep.within_noise[:, 0]
            figure = layer_bars({sweep.site: values.T}, title, shown, series=(what,), faint=faint)
        name = f"patching_{sweep.site}_{sweep.gap.direction}"
        said = findings.of_patching(sweep, results.attention)
        yield Section(title, name, said, definitions.PATCHING, figure, sweep.to_frame())
    yield from _values(results)


def _values(results: Results) -> Iterator[Section]:
    """The post's scatter, and the same like with like, where their sweeps are there."""
    for site, name, read in (
        ("v", "value patch of the KV group", "As in the post: one value patch moves all query heads of its group."),
        ("value_only", "value only, one head", "Like with like: both patches change one query head."),
    ):
        for z, other in _together(results, "z", site):
            (outputs, shown), (values, _) = _shown(z), _shown(other)
            size = outputs.shape[1] // values.shape[1]
            wide = np.repeat(values, size, axis=1)
            group = size if site == "v" else 1
            faint = z.within_noise & np.repeat(other.within_noise, size, axis=1)
            figure = value_output_scatter(wide, outputs, group, "Values against outputs", shown, name, faint=faint)
            title = f"Values against outputs: {name}, {_RECIPIENTS[z.gap.direction]}"
            yield Section(title, f"scatter_{site}", read, definitions.SCATTER, figure)


def _origin(results: Results) -> Iterator[Section]:
    for z, changed in _together(results, "z", "w_head"):
        panels = origin_panels(changed, z, z.gap.reason is not None)
        title = "Changed here, or only carried here"
        figure = head_heatmaps(panels, title, _shown(z)[1], limit=colour_limit(panels))
        title += f", {_RECIPIENTS[z.gap.direction]}"
        yield Section(title, "origin", findings.of_origin(changed, z), definitions.ORIGIN, figure)


def _together(results: Results, *sites: str) -> Iterator[tuple[Sweep, ...]]:
    """Sweeps of several sites that were run alike."""
    for first in (sweep for sweep in results.sweeps if sweep.site == sites[0]):
        alike = {
            sweep.site: sweep
            for sweep in results.sweeps
            if (sweep.gap.direction, sweep.positions, sweep.source)
            == (first.gap.direction, first.positions, first.source)
        }
        if all(site in alike for site in sites):
            yield tuple(alike[site] for site in sites)


def _shown(sweep: Sweep) -> tuple[np.ndarray, str]:
    """Scores, or effects where there is no gap to share; and their unit."""
    return (sweep.score, theme.SCORE) if sweep.gap.reason is None else (sweep.effect, theme.LOGITS)


def _checks(results: Results) -> Iterator[Section]:
    found = [part for part in (results.attribution, results.depth, results.attention) if part is not None]
    checks = tuple(check for part in found for check in part.checks)
    if checks:
        failed = [check.name for check in checks if not check.holds]
        said = f"{len(failed)} of {len(checks)} failed: {', '.join(failed)}" if failed else "All hold."
        read = f"Identities that the numbers must hold, with their largest residual. {said}"
        yield Section("Checks", "checks", read, definitions.CHECKS, table=checks_frame(checks))
