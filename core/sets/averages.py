"""The averages of a set, map by map, from what is kept of its prompts; each with its tidy table.

The axis `model` is (base, instruct, change), change = INSTRUCT − BASE prompt by prompt. Effects and scores are those of
`core.patching.gap`; a set's score is the ratio of means. Statistics: `core.sets.statistics`. Nothing here knows torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from core.patching.gap import Gap
from core.patching.results import Sweep
from core.results import MODELS
from core.sets.entries import Used
from core.sets.fields import ATTRIBUTION, PATCHING, SUMMARY, Plan, attention_field, attribution_field, patching_field
from core.sets.kept import Kept
from core.sets.statistics import Average, Ratio, average, corrected, permutation_p, ratio_of_means, top_share

SETS_MODELS = (*MODELS, "change")
_COLUMNS = ("n", "mean", "se", "ci_low", "ci_high", "same_sign")
_COMPONENTS = {"embed": "embed", "attn": "attn", "mlp": "mlp", "head": "head", "attn_bias": "bias", "bias": "bias"}


@dataclass(frozen=True)
class SitePatches:
    """One site's sweep over a set. Arrays have axes (layer, column) as a sweep's.

    effect: logits. ratio: mean effect / mean gap. p, q: of effect = 0, q over the cells of this map. top_share: in how
    many of the bootstrap's draws a cell is among the 8 largest mean effects by magnitude. means: other measures' means.
    """

    site: str
    direction: str
    positions: str
    effect: Average
    ratio: Ratio
    p: np.ndarray
    q: np.ndarray
    top_share: np.ndarray
    means: Mapping[str, np.ndarray]

    def to_frame(self) -> pd.DataFrame:
        cells = Sweep(self.site, self.positions, Gap(self.direction, 0.0, 0.0), self.effect.mean).to_frame()
        ratio = {"ratio": self.ratio.value, "ratio_low": self.ratio.ci_low, "ratio_high": self.ratio.ci_high}
        more = {**ratio, "p": self.p, "q": self.q, "top_share": self.top_share, **self.means}
        columns = _columns(self.effect) | {name: array.ravel() for name, array in more.items()}
        return cells[["direction", "site", "layer", "head"]].assign(**columns)


@dataclass(frozen=True)
class SetAverages:
    """Over the prompts of a set that are finished.

    summary: measure → (model,); by_group: (column, its value) → the same of logit_diff alone, of the prompts with that
    structure or instruction. attribution: component → (model,), (model, layer) or (model, layer, head).
    attention: role → (model, layer, head). patching: one a site.
    """

    n: int
    summary: Mapping[str, Average]
    by_group: Mapping[tuple[str, str], Average]
    attribution: Mapping[str, Average]
    attention: Mapping[str, Average]
    patching: tuple[SitePatches, ...]

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that are written, by name; `patching` only where a site was swept."""
        tables = {"summary": self.summary_frame(), "attribution": self.attribution_frame()}
        tables["attention"] = self.attention_frame()
        if self.patching:
            tables["patching"] = pd.concat([site.to_frame() for site in self.patching], ignore_index=True)
        return tables

    def summary_frame(self) -> pd.DataFrame:
        """Whole set first, structure and instruction absent; then logit_diff of each structure and instruction."""
        frames = [
            _measure_frame("logit_diff", found, {column: value}) for (column, value), found in self.by_group.items()
        ]
        frames = [*(_measure_frame(name, found, {}) for name, found in self.summary.items()), *frames]
        return pd.concat(frames, ignore_index=True)

    def attribution_frame(self) -> pd.DataFrame:
        frames = []
        for name, found in self.attribution.items():
            if name != "attn_bias" or found.mean.any():
                frames.append(_cells(found, {"component": _COMPONENTS[name]}, ("layer", "head")))
        return _joined(frames, ["model", "component", "layer", "head"])

    def attention_frame(self) -> pd.DataFrame:
        frames = [_cells(found, {"role": role}, ("layer", "head")) for role, found in self.attention.items()]
        return _joined(frames, ["model", "role", "layer", "head"])


def averages_of(used: Sequence[Used], plan: Plan, kept: Kept) -> SetAverages:
    """Of the prompts that are kept, at least one; the others are left out."""
    done = [row for row in used if row.key in kept]
    keys = [row.key for row in done]

    def of_both(field: str) -> Average:
        return of_models(kept.column(field, keys))

    return SetAverages(
        n=len(done),
        summary={name: of_both(name) for name in SUMMARY},
        by_group=_by_group(done, kept.column("logit_diff", keys)),
        attribution={name: of_both(attribution_field(name)) for name in ATTRIBUTION},
        attention={role: of_both(attention_field(role)) for role in plan.roles},
        patching=tuple(_site(site, plan, keys, kept) for site in plan.sites),
    )


def of_models(values: np.ndarray) -> Average:
    """values: (prompt, model, …). A model at a time, so that no more than one map is there in float64."""
    parts = [average(values[:, 0]), average(values[:, 1]), average(values[:, 1].astype(float) - values[:, 0])]
    arrays = [np.stack([getattr(part, field.name) for part in parts]) for field in fields(Average) if field.name != "n"]
    return Average(len(values), *arrays)


def _by_group(done: Sequence[Used], logit_diff: np.ndarray) -> dict[tuple[str, str], Average]:
    found = {}
    names: dict[str, Callable[[Used], str]] = {
        "structure": lambda row: row.entry.structure,
        "instruction": lambda row: row.entry.instruction,
    }
    for column, name in names.items():
        labels = np.array([name(row) for row in done], object)
        for label in dict.fromkeys(filter(None, labels)):
            found[column, label] = of_models(logit_diff[labels == label])
    return found


def _measure_frame(measure: str, found: Average, group: Mapping[str, str]) -> pd.DataFrame:
    of = {"structure": None, "instruction": None} | dict(group)
    frame = pd.DataFrame({"model": SETS_MODELS, "measure": measure, **of} | _columns(found))
    return frame.astype({name: object for name in of})


def _site(site: str, plan: Plan, keys: Sequence[str], kept: Kept) -> SitePatches:
    base, instruct = kept.column("logit_diff", keys).astype(float).T
    effect = kept.column(patching_field(site, "effect"), keys)
    # Scores count towards the donor: BASE lies below INSTRUCT.
    ratio = ratio_of_means(effect if plan.direction == "instruct_to_base" else -effect, instruct - base)
    others = [name for name in PATCHING if name != "effect"]
    p = permutation_p(effect)
    return SitePatches(
        site=site,
        direction=plan.direction,
        positions=plan.positions,
        effect=average(effect),
        ratio=ratio,
        p=p,
        q=corrected(p),
        top_share=top_share(effect),
        means={name: kept.column(patching_field(site, name), keys).mean(0, dtype=float) for name in others},
    )


def _columns(found: Average) -> dict[str, object]:
    """The statistics in the order of the cells."""
    return {"n": found.n} | {name: getattr(found, name).ravel() for name in _COLUMNS[1:]}


def _cells(found: Average, of: Mapping[str, str], axes: Sequence[str]) -> pd.DataFrame:
    """One row a cell of (model, *axes), as many of them as the cells have."""
    index = np.indices(found.mean.shape).reshape(found.mean.ndim, -1)
    named = {"model": np.asarray(SETS_MODELS, object)[index[0]], **of}
    return pd.DataFrame(named | dict(zip(axes, index[1:])) | _columns(found))


def _joined(frames: list[pd.DataFrame], index: list[str]) -> pd.DataFrame:
    frame = pd.concat(frames, ignore_index=True).reindex(columns=[*index, *_COLUMNS])
    return frame.astype({name: "Int64" for name in ("layer", "head")})
