"""What a report of a prompt set holds: means with their intervals, every prompt, and the maps of what was averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.charts import theme
from core.charts.grid import Panel
from core.charts.heatmap import MODEL_TITLES, head_heatmaps
from core.charts.sets import interval_bars, layer_means, set_scatter, set_spread, site_means
from core.export.report import Section, report
from core.set_findings import of_set
from core.sets import definitions
from core.sets.averages import SetAverages
from core.sets.results import SetResult
from core.wording import word

_PALE = "Pale: the 95% interval holds 0."


def set_report(found: SetResult, description: Mapping[str, object]) -> str:
    """The report of a set. description: the experiment on screen, whose pair it is, and the manifest."""
    lead = f"{len(found.ran)} of {found.usable} prompts have run; {len(found.refused)} rows are left out"
    return report(f"BASE and INSTRUCT over {len(found.ran)} prompts", lead, sections(found), description)


def sections(found: SetResult) -> list[Section]:
    every = Section("Every row", "prompts", "Left out rows have a reason.", definitions.SET, table=found.to_frame())
    if found.averages is None:
        return [every]
    return [*_prompts(found, found.averages), *_groups(found.averages), *_maps(found.averages), *_sites(found), every]


def _prompts(found: SetResult, averages: SetAverages) -> Iterator[Section]:
    names = [f"{row.entry.sentence} ({row.entry.original} → {word(row.answer)})" for row in found.ran]
    figure = set_scatter(found.logit_diff, names, averages.summary["logit_diff"])
    table = averages.summary_frame()
    yield Section("What the models prefer", "set_scatter", of_set(found), definitions.SET, figure, table)
    read = "Above 0 a model prefers the answer; dashed: the means."
    yield Section("How the prompts spread", "set_spread", read, definitions.SET, set_spread(found.logit_diff))


def _groups(averages: SetAverages) -> Iterator[Section]:
    for column in ("structure", "instruction"):
        rows = {label: mean for (of, label), mean in averages.by_group.items() if of == column}
        if rows:
            title = f"Mean logit difference by {column}"
            read = "Bars are means, lines their 95% intervals."
            yield Section(title, f"by_{column}", read, definitions.SET, interval_bars(rows, title))


def _maps(averages: SetAverages) -> Iterator[Section]:
    shown = {"attribution": (averages.attribution["head"], "direct logit attribution of every head", theme.LOGITS)}
    for role in ("original", "colon"):
        if role in averages.attention:
            shown[f"attention_{role}"] = averages.attention[role], f"attention from END to {role}", theme.ATTENTION
    frames = {"attribution": averages.attribution_frame(), "attention": averages.attention_frame()}
    layers, read = (
        frames["attribution"].query("component != 'head'"),
        "Bars are means, lines their 95% intervals; pale: an interval that holds 0.",
    )
    title = "Mean direct logit attribution by layer"
    yield Section(title, "set_layers", read, definitions.SET_MAPS, layer_means(averages.attribution), layers)
    for name, (mean, what, counts) in shown.items():
        panels = [Panel(title, mean.mean[m], pale=mean.spans_zero[m]) for m, title in enumerate(MODEL_TITLES)]
        figure = head_heatmaps(panels, f"Mean {what}", counts)
        frame = frames[name.partition("_")[0]]
        role = name.partition("_")[2]
        table = frame[frame["role"] == role] if role else frame
        yield Section(f"Mean {what}", f"set_{name}", _PALE, definitions.SET_MAPS, figure, table)


def _sites(found: SetResult) -> Iterator[Section]:
    assert found.averages is not None, "a prompt has run"
    for patches in found.averages.patching:
        title = f"Patches of {patches.site}, {patches.direction.replace('_', ' ')}, over the set"
        yield Section(
            title, f"set_{patches.site}_{patches.direction}", f"Mean effect / mean gap. {_PALE}",
            definitions.SET_PATCHES, site_means(patches, title), patches.to_frame(),
        )  # fmt: skip
