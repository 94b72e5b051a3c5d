"""What leaves a page: each table as CSV, all of them with their manifest in one file, each chart as SVG.

A table is named by what it is of, which is what its answer says and not what the viewer asks now.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias

import pandas as pd
import streamlit as st

from cache.questions.catalogue import QUESTIONS
from cache.questions.overview import Overview
from core.experiment import Experiment, prompt_text
from core.export.tables import describe, to_csv, to_json
from core.labelling import file_name, labelled
from core.models.pairs import PairSpec
from core.models.places import is_path, last_part
from pages.shared import state
from pages.shared.asking import Answer, on_screen
from pages.shared.service import service

# A figure's data, or what makes them when somebody asks for them.
Table: TypeAlias = pd.DataFrame | Callable[[], pd.DataFrame]
_LIBRARIES = ("torch", "transformers", "transformer_lens")


@dataclass(frozen=True, eq=False)
class Download:
    """A table of the page.

    labels: name → what it is of. stem: its file's name without the suffix. there: whether it has anything to give.
    """

    table: Table
    labels: Mapping[str, object]
    stem: str
    there: bool = True

    def csv(self) -> str:
        return to_csv(labelled(self.table() if callable(self.table) else self.table, self.labels))


def download(
    key: str, table: Table, answers: Sequence[Answer], of: Mapping[str, object], there: bool = True
) -> Download:
    """One more table of this run of the page; answers: what it is drawn from; of: what it is of besides."""
    answer = _told_apart(answers)
    about, text = _about(answer) if answer is not None else ({}, "")
    labels = {**about, **of}
    made = st.session_state.downloads[key] = Download(table, labels, file_name(key, labels, text), there)
    return made


def _told_apart(answers: Sequence[Answer]) -> Answer | None:
    """Of several the one that looks at most of the experiment; an overview stands beside others for the prompt."""
    there = [answer for answer in answers if answer.value is not None]
    other = [answer for answer in there if answer.asked.question != "overview"] or there
    return min(other, key=lambda answer: len(QUESTIONS[answer.asked.question].ignores), default=None)


def _about(answer: Answer) -> tuple[dict[str, object], str]:
    """What an answer is of, by name, and its prompt as a person would name it; what it does not look at is left out."""
    experiment, question = answer.asked.experiment, QUESTIONS[answer.asked.question]
    ignored = question.ignores | (question.ignores_free if experiment.is_free else frozenset())
    labels: dict[str, object] = {"pair": experiment.pair}
    if experiment.base or experiment.instruct:
        labels["pair"] = f"{experiment.base} → {experiment.instruct}"
    if "sentence" in ignored:
        return labels, ""
    seen, overview = st.session_state.last.get("overview"), on_screen()
    same = seen is not None and question.matters(QUESTIONS["overview"].matters(seen.experiment)) == experiment
    prompt = overview.prompt if overview is not None and same else prompt_text(experiment)
    found = {"prompt": prompt.text, "answer": prompt.answer, "original": prompt.original}
    labels |= {name: value for name, value in found.items() if name not in ignored and value}
    return labels, experiment.prompt or experiment.sentence


def all_tables(overview: Answer) -> None:
    """One button for all tables of the page and what they were computed with; files are made when somebody asks."""
    found = {key: made for key, made in st.session_state.downloads.items() if made.there}
    experiment = overview.asked.experiment
    spec = service().spec(experiment)
    st.download_button(
        "All tables of this page",
        partial(_zipped, found, experiment, overview.result, spec, state.link()),
        file_name=f"{named('tables', overview)}.zip",
        mime="application/zip",
        key="all_tables",
        disabled=not found,
        on_click="ignore",
        type="tertiary",
        icon=":material/folder_zip:",
        help="Every table as CSV, and a manifest: the experiment, its tokens, both models, versions",
    )


def json_button(
    key: str, overview: Answer, made: Callable[[], tuple[Mapping[str, object], Mapping[str, pd.DataFrame]]], help_: str
) -> None:
    """One result as JSON: experiment, manifest, and what `made` gives: what stands beside its tables, and these."""
    experiment, found = overview.asked.experiment, overview.result
    spec = service().spec(experiment)

    def text() -> str:
        beside, tables = made()
        return to_json({**manifest(experiment, found, spec), **beside}, tables)

    st.download_button(
        "JSON",
        text,
        file_name=f"{named(key, overview)}.json",
        mime="application/json",
        key=f"json_{key}",
        on_click="ignore",
        type="tertiary",
        icon=":material/data_object:",
        help=help_,
    )


def named(key: str, answer: Answer) -> str:
    """The stem of a file's name: what it is, and what it is of."""
    return file_name(key, *_about(answer))


def _zipped(
    found: Mapping[str, Download], experiment: Experiment, overview: Overview, spec: PairSpec, link: dict[str, str]
) -> bytes:
    """The file's bytes; the same tables make the same bytes."""
    files = {f"{one.stem}.csv": one.csv() for one in found.values()}
    described = manifest(experiment, overview, spec)
    described["view"] = link
    described["tables"] = {f"{one.stem}.csv": dict(one.labels) for one in found.values()}
    files["manifest.json"] = json.dumps(described, ensure_ascii=False, indent=1, default=str)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2025, 4, 6, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def manifest(experiment: Experiment, overview: Overview, spec: PairSpec) -> dict[str, Any]:
    """An export's `experiment` and `manifest`, of the prompt on screen."""
    sources = {"base": (spec.base, spec.base_revision), "instruct": (spec.instruct, spec.instruct_revision)}
    # The folders of this machine are nobody else's business.
    named = {
        name: {"model": last_part(model) if is_path(model) else model, "revision": revision}
        for name, (model, revision) in sources.items()
    }
    models: dict[str, Any] = {"pair": spec.id, **named, "weights": service().answers.identity(spec)}
    models |= {"dtype": overview.dtype, "stored_dtype": overview.stored_dtype or None, "device": overview.device}
    if overview.quantization:
        models["quantization"] = overview.quantization
    models["libraries"] = {name: version(name) for name in _LIBRARIES}
    return describe(experiment, overview.prompt, models, overview.seconds)
