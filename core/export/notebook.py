"""A Jupyter notebook that computes an experiment's headline numbers again, with TransformerLens and transformers alone.

It imports nothing of this project: models, token ids and the names of the heads are written into it, the numbers that
the app gave stand at its end, and its last cell says how far both lie apart. Numbers: each model's logit difference,
the direct logit attribution of the heads whose share changed most, the output patch of the heads that move the
recipient furthest, and what of END's attention these heads give to the original.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat
from typing import Any

from core.attention_results import Attention
from core.export import notebook_cells as cells
from core.export.results import Results
from core.models.pairs import PairSpec
from core.models.places import PACKAGE, is_path, last_part
from core.patching.gap import MIN_GAP
from core.patching.results import Sweep
from core.prompt import AnsweredPrompt
from core.results import MODELS, Attribution, Summary, head_name

HEADS = 4  # of each ranking
# How far a number may be from the app's: rows of one batch and single forwards round apart in half precision.
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}
COARSE = 0.5
_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """Where the notebook takes a model from. revision: the hub's, "" for local files."""

    name: str
    revision: str = ""


def sources(spec: PairSpec, revisions: tuple[str, str] | None = None, private: bool = True) -> tuple[Source, Source]:
    """Of BASE and INSTRUCT. revisions: the commits that were loaded. private: whether folders of this machine, outside
    of the project, are named by their last part alone."""
    commits = revisions or (spec.base_revision, spec.instruct_revision)
    names = [_named(name, private) for name in (spec.base, spec.instruct)]
    return Source(names[0], commits[0]), Source(names[1], commits[1])


def _named(name: str, private: bool) -> str:
    if name.startswith(PACKAGE) or not is_path(name):
        return name
    path = Path(name)
    if path.is_relative_to(_PROJECT):
        return path.relative_to(_PROJECT).as_posix()
    return last_part(name) if private else name


def headline(summary: Summary, attribution: Attribution, attention: Attention, sweep: Sweep | None) -> dict[str, Any]:
    """The app's numbers: `name → number`, each model's behind the other's. sweep: of the site z, where it has run."""
    heads = [(int(row.layer), int(row.head)) for row in attribution.top_heads(HEADS).itertuples()]
    moving = heads if sweep is None else sweep.top(HEADS)
    numbers: dict[str, float | None] = _of_both("logit difference", summary.logit_diff)
    for place in heads:
        numbers |= _of_both(f"DLA {head_name(*place)}", attribution.head[:, *place])
    scored = summary.gap >= MIN_GAP if sweep is None else sweep.gap.reason is None
    for place in moving:
        known = None if sweep is None else float((sweep.score if scored else sweep.effect)[place])
        numbers[f"patch {'score' if scored else 'effect'} {head_name(*place)}"] = known
    if "original" in attention.roles:
        for place in dict.fromkeys([*moving, *heads]):
            numbers |= _of_both(f"A(original→END) {head_name(*place)}", attention.at("original")[:, *place])
    return numbers


def _of_both(name: str, values: Iterable[float]) -> dict[str, float | None]:
    return {f"{name} {model.upper()}": float(value) for model, value in zip(MODELS, values)}


def notebook_of(results: Results, models: tuple[Source, Source], dtype: str, quantization: str = "") -> str:
    """The notebook (nbformat 4.5) of an experiment of which attribution and attention are there."""
    assert results.attribution is not None and results.attention is not None
    # The notebook's own patches let patterns run.
    patched = () if results.frozen_patterns else results.sweeps
    sweep = next((sweep for sweep in patched if sweep.site == "z"), None)
    numbers = headline(results.summary, results.attribution, results.attention, sweep)
    direction, positions = ("instruct_to_base", "all") if sweep is None else (sweep.gap.direction, sweep.positions)
    return _notebook(results.prompt, models, dtype, numbers, direction, positions, quantization)


def _notebook(
    prompt: AnsweredPrompt,
    models: tuple[Source, Source],
    dtype: str,
    numbers: Mapping[str, float | None],
    direction: str,
    positions: str | int,
    quantization: str,
) -> str:
    at = "slice(None)" if positions == "all" else f"[{prompt.end if positions == 'end' else positions}]"
    asked = {
        "BASE": models[0].name,
        "BASE_REVISION": models[0].revision or None,
        "INSTRUCT": models[1].name,
        "INSTRUCT_REVISION": models[1].revision or None,
        "QUANTIZATION": quantization or None,
    }
    told = {
        "IDS": list(prompt.ids),
        "ANSWER": prompt.answer_id,
        "ORIGINAL": prompt.original_id,
        "ORIGINAL_AT": prompt.roles["original"],
        "DONOR": 1 if direction == "instruct_to_base" else 0,
    }
    written = [
        _markdown(
            cells.TITLE.format(
                prompt=_block(prompt.text), answer=_quoted(prompt.answer), original=_quoted(prompt.original)
            )
        ),
        _code(f"{cells.IMPORTS}\n\n{_assigned(asked)}\nDTYPE = torch.{dtype}"),
        _code(cells.LOAD),
        _markdown(cells.RUN_TOLD),
        _code(f"{_assigned(told)}\nPATCHED = {at}"),
        _code(cells.RUN),
        _markdown(cells.DIFFERENCE_TOLD),
        _code(cells.DIFFERENCE),
        _markdown(cells.DLA_TOLD),
        _code(cells.DLA),
        _markdown(cells.PATCH_TOLD),
        _code(cells.PATCH),
        _markdown(cells.ATTENTION_TOLD),
        _code(cells.ATTENTION),
        _markdown(cells.COMPARE_TOLD),
        _code(f"{_assigned({'TOLERANCE': TOLERANCE.get(dtype, COARSE)})}\nAPP = {_listed(numbers)}"),
        _code(cells.COMPARE),
    ]
    for n, cell in enumerate(written):
        cell["id"] = f"cell-{n}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": written,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _assigned(values: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def _listed(numbers: Mapping[str, float | None]) -> str:
    return pformat(dict(numbers), width=100, sort_dicts=False)


def _block(text: str) -> str:
    """A text as Markdown shows it to the letter."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _quoted(token: str) -> str:
    """A token as code within Markdown, which it cannot leave."""
    return repr(token).replace("`", "'")


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.strip("\n")}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text.strip("\n")}
