"""The parts of the Explore page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.questions.overview import Overview
from core import definitions, findings
from core.experiment import HEADER, InputError, prompt_text
from core.prompt import AnsweredPrompt, Prompt, role_names
from core.results import MODELS, Summary
from core.wording import arrow, neighbours, percent, rank
from pages.shared import state
from pages.shared.asking import Answer, follow, so_far, stop
from pages.shared.figures import below, figures
from pages.shared.finding import finding
from pages.shared.headings import heading, part
from pages.shared.text import plain, quoted
from pages.shared.tokens import token_strip
from pages.shared.watching import hide_once_ended, line

BEGUN = 40  # characters of a begun text shown before what a model writes


@dataclass(frozen=True)
class Writing:
    """Where the models' texts go, BASE's first, and the button that ends them."""

    places: Sequence[DeltaGenerator]
    button: DeltaGenerator


def headline(overview: Overview | None) -> None:
    """The question with this prompt's words, and what the two runs answer to it."""
    if overview is None:
        heading("Why does INSTRUCT rephrase where BASE repeats?")
        return
    prompt = overview.prompt
    # Nothing can be repeated that stands nowhere in a free prompt.
    repeat = "repeat " if prompt.roles["original"] is not None else ""
    heading(f"Does the model write {quoted(prompt.answer)} or {repeat}{quoted(prompt.original)}?")
    finding(findings.of_models(overview.summary, prompt.answer, prompt.original), definitions.LOGIT_DIFF)


def goes_on(overview: Overview) -> Writing:
    """Where each model's text goes, with what is known of it at once: the most likely next token."""
    with st.container(key="goes_on"):
        # The button's column stays when the button goes: nothing moves.
        *columns, button = st.columns((12, 12, 1))
        places = [column.empty() for column in columns]
    for m, place in enumerate(places):
        place.markdown(_text(overview, m, ""), help=definitions.CONTINUATION)
    return Writing(places, button)


def gap_reading(prompt: AnsweredPrompt, summary: Summary) -> str:
    """How to read the bars, with both candidates' probability and rank in both models."""
    candidates = [
        f"{quoted(candidate)}: " + ", ".join(_standing(name, prob[m], int(ranks[m])) for m, name in enumerate(MODELS))
        for candidate, prob, ranks in (
            (prompt.answer, summary.prob_answer, summary.rank_answer),
            (prompt.original, summary.prob_original, summary.rank_original),
        )
    ]
    capped = summary.capped_diff
    cap = f" After the soft cap: {arrow(capped, plus=True)}." if abs(capped - summary.logit_diff).max() >= 1e-6 else ""
    return f"Right of 0 a model prefers the answer. {' · '.join(candidates)}.{cap}"


def _standing(model: str, probability: float, index: int) -> str:
    return f"{model.upper()} {percent(probability)} (rank {rank(index)})"


def tokens(prompt: Prompt) -> None:
    """The prompt as tokens, the roles marked; a click follows that token."""
    part("The prompt as both models read it")
    token_strip(prompt.tokens, prompt.roles, "prompt_tokens", lambda i: state.edit(picked=i))
    below(
        "prompt",
        "Framed tokens have a role. Click a token to follow it on the other pages.",
        definitions.ROLES,
        partial(_token_table, prompt),
    )


def text_only() -> None:
    """The prompt while no tokenizer is there yet, in the place of nothing."""
    inside = ", inside INSTRUCT's chat template" if state.experiment().template == "chat" else ""
    part(f"The prompt as both models will read it{inside}")
    with suppress(InputError):
        st.text(prompt_text(state.experiment()).text)


def _token_table(prompt: Prompt) -> pd.DataFrame:
    rows = [
        (i, prompt.ids[i], token, " ".join(role_names(prompt.roles, i)), neighbours(prompt.tokens, i))
        for i, token in enumerate(prompt.tokens)
    ]
    return pd.DataFrame(rows, columns=["position", "id", "token", "role", "context"])


def top_table(summary: Summary) -> pd.DataFrame:
    frames = [top.to_frame().assign(model=name) for name, top in zip(MODELS, summary.top)]
    return pd.concat(frames, ignore_index=True)[["model", "token", "id", "prob", "logit"]]


def continuations(overview: Answer, writing: Writing) -> None:
    """What each model goes on to write, as it writes it; failures are told, and the texts kept, at the page's end."""
    answers = [follow(overview, "continuation", redraw=False, model=name) for name in MODELS]
    for m, (place, answer) in enumerate(zip(writing.places, answers)):
        line(partial(_written, overview.result, m, answer), definitions.CONTINUATION, place)
    if running := [answer for answer in answers if answer.running and not answer.stopped]:
        with writing.button:
            hide_once_ended("stop_writing", running)
            st.button(
                "", on_click=stop, args=(running,), icon=":material/stop:", type="tertiary", help="Stop writing",
                key="stop_writing",
            )  # fmt: skip
    with figures(*answers, key="continuations"):
        stopped = [name.upper() for name, answer in zip(MODELS, answers) if answer.stopped]
        said = f" Stopped: {' and '.join(stopped)}." if stopped else ""
        below(
            "continuations",
            f"What the models go on to write is greedy: at each step the most likely token.{said}",
            definitions.CONTINUATION,
            partial(_texts, answers),
        )


def _texts(answers: Sequence[Answer]) -> pd.DataFrame:
    """Those that are whole when somebody asks for them."""
    return pd.DataFrame(
        [(name, answer.job.result if answer.job else answer.result) for name, answer in zip(MODELS, answers)],
        columns=["model", "text"],
    )


def _written(overview: Overview, m: int, answer: Answer) -> str:
    whole = answer.complete or answer.job is not None and answer.job.state == "done"
    return _text(overview, m, so_far(answer.job) or "", " ▍" if answer.running else "" if whole else "…")


def _text(overview: Overview, m: int, text: str, tail: str = "…") -> str:
    """“BASE goes on: The **quick** fox”, its most likely next token in bold, which is there before any text is."""
    following = overview.summary.top[m].strings[0]
    text = text if text.startswith(following) else following
    # A chat template may write its whole text in one line.
    begun = overview.prompt.text.rsplit("\n", 1)[-1].rpartition(HEADER)[2].strip()
    begun = begun if len(begun) <= BEGUN else f"…{begun[-BEGUN:]}"
    token, rest = following.strip(), text[len(following) :]
    space = " " if following.startswith(" ") else ""
    next_ = f"{space}**{plain(token)}**" if token else plain(following)
    return f"{MODELS[m].upper()} goes on: {plain(begun)}{next_}{plain(rest)}{tail}"
