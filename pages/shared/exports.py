"""What leaves the app of the whole experiment: the page's tables, a report to be read anywhere, a notebook.

A report and a notebook hold what was computed of the experiment; what both models' runs give at once is computed for
them, patches are not. Files are made when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import streamlit as st

from cache.questions.catalogue import QUESTIONS
from cache.questions.overview import Overview
from core.experiment import Experiment
from core.export.results import Results
from core.models.pairs import PairSpec
from core.patching.plan import DIRECTIONS
from core.patching.results import Sweep
from core.sets.results import SetResult
from pages.patching.plan import SITES
from pages.shared.asking import Answer
from pages.shared.downloads import all_tables, manifest, named
from pages.shared.service import owner, service

WAIT = 60.0  # seconds that a file waits for what it is made of
# In the order of their fields.
_READ_OFF: dict[str, dict[str, str]] = {"attribution": {"projection": "own"}, "depth": {}, "attention": {}}


def offer(overview: Answer) -> None:
    """The buttons below a page: nothing where it has no tables, as on the stage."""
    if not st.session_state.downloads or overview.result is None:
        return
    experiment, found = overview.asked.experiment, overview.result
    spec = service().spec(experiment)
    make = partial(_results, experiment, found, owner())
    with st.container(horizontal=True, gap="medium", key="exports"):
        all_tables(overview)
        _button("Report", "html", "text/html", partial(_report, make, experiment, found, spec), overview)
        if (averaged := _set()) is not None:
            of_set = partial(_set_report, averaged, experiment, found, spec)
            _button("Report of the set", "set.html", "text/html", of_set, overview)
        _button("Notebook", "ipynb", "application/x-ipynb+json", partial(_notebook, make, found, spec), overview)


_HELP = {
    "Report": "What was computed of this experiment in one HTML file: figures, tables, definitions, versions",
    "Report of the set": "The averages over the set in one HTML file: figures, tables, definitions, versions",
    "Notebook": "Computes the headline numbers again with transformers and TransformerLens alone",
}


def _button(label: str, suffix: str, mime: str, made: Callable[[], str], overview: Answer) -> None:
    st.download_button(
        label, made, file_name=f"{named(label.lower(), overview)}.{suffix.rpartition('.')[2]}", mime=mime,
        key=f"export_{suffix.replace('.', '_')}",
        on_click="ignore", type="tertiary", icon=":material/description:", help=_HELP[label],
    )  # fmt: skip


def _set() -> SetResult | None:
    """Of the sets that the page shows the one of which most was patched."""
    answers = st.session_state.asking.answers.values()
    found = [answer.value for answer in answers if answer.asked.question == "prompt_set" and answer.value is not None]
    ran = [result for result in found if result.averages is not None]
    return max(ran, key=lambda result: len(result.averages.patching), default=None)


def _set_report(result: SetResult, experiment: Experiment, found: Overview, spec: PairSpec) -> str:
    from core.export.set_contents import set_report

    return set_report(result, manifest(experiment, found, spec))


def _report(make: Callable[[], Results], experiment: Experiment, found: Overview, spec: PairSpec) -> str:
    from core.export.contents import experiment_report

    return experiment_report(make(), manifest(experiment, found, spec))


def _notebook(make: Callable[[], Results], found: Overview, spec: PairSpec) -> str:
    from core.export.notebook import notebook_of, sources

    return notebook_of(make(), sources(spec), found.dtype, found.quantization)


def _results(experiment: Experiment, overview: Overview, viewer: Hashable) -> Results:
    """What is known of the experiment; viewer: for whom the rest is computed."""
    jobs = [service().ask(name, experiment, viewer, **options) for name, options in _READ_OFF.items()]
    attribution, depth, attention = (job.result if job.wait(WAIT) else None for job in jobs)
    return Results(overview.prompt, overview.summary, attribution, depth, attention, _known(experiment))


def _known(experiment: Experiment) -> list[Sweep]:
    """Every sweep that has run over all positions, or at END alone."""
    matters = QUESTIONS["sweep"].matters(experiment)
    plans = [
        {"site": site, "direction": direction, "positions": positions}
        for positions in ("all", "end")
        for direction in DIRECTIONS
        for site in SITES
    ]
    found = (service().known("sweep", matters, **plan) for plan in plans)
    return [sweep for sweep in found if sweep is not None]
