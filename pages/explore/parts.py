"""The parts of the Explore page."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pandas as pd
import streamlit as st

from cache.questions.overview import Overview
from core.experiment import HEADER, InputError, prompt_text
from core.prompt import AnsweredPrompt, Prompt, neighbours, role_names
from core.results import MODELS, Summary
from core.wording import signed
from pages.shared import definitions, state
from pages.shared.asking import Answer, follow, so_far, stop
from pages.shared.figures import below, figures
from pages.shared.text import plain, quoted
from pages.shared.tokens import token_strip
from pages.shared.watching import line


def headline(overview: Overview | None) -> None:
    """The question with this prompt's words, and the three numbers."""
    if overview is None:
        st.subheader("Why does INSTRUCT rephrase where BASE repeats?")
    else:
        prompt = overview.prompt
        st.subheader(f"Does the model write {quoted(prompt.answer)} or repeat {quoted(prompt.original)}?")
    columns = st.columns(3)
    for m, name in enumerate(MODELS):
        with columns[m]:
            _metric(name.upper(), overview, m)
    columns[2].metric(
        "Gap, INSTRUCT − BASE",
        signed(overview.summary.gap) if overview else "…",
        help="logit difference of INSTRUCT minus that of BASE, in logits",
    )


def _metric(name: str, overview: Overview | None, m: int) -> None:
    label = f"{name}: logit difference"
    if overview is None:
        st.metric(label, "…")
        st.caption("not computed yet")
        return
    summary, prompt = overview.summary, overview.prompt
    st.metric(label, signed(summary.logit_diff[m]))
    candidates = " · ".join(
        f"{quoted(word)} {_percent(prob[m])}, rank {int(rank[m])}"
        for word, prob, rank in (
            (prompt.answer, summary.prob_answer, summary.rank_answer),
            (prompt.original, summary.prob_original, summary.rank_original),
        )
    )
    capped = summary.capped_diff[m]
    cap = "" if abs(capped - summary.logit_diff[m]) < 1e-6 else f" · after the soft cap {signed(capped)}"
    st.caption(candidates + cap)


def _percent(p: float) -> str:
    return f"{100 * p:.0f}%" if p >= 0.1 else f"{100 * p:.2g}%" if p >= 1e-4 else "< 0.01%"


def disagreement(prompt: AnsweredPrompt, summary: Summary) -> None:
    """Say so when INSTRUCT itself would not write the chosen answer."""
    best = summary.top[1]
    if summary.logit_diff[1] < 0:
        st.warning(
            f"INSTRUCT prefers the original {quoted(prompt.original)} to the answer {quoted(prompt.answer)} here: "
            "choose another answer, or read the numbers below as a case where it does not rephrase."
        )
    elif best.ids[0] != prompt.answer_id:
        st.info(
            f"INSTRUCT itself would write {quoted(best.strings[0])} ({_percent(best.prob[0])}); "
            f"the answer compared here, {quoted(prompt.answer)}, has rank {int(summary.rank_answer[1])}."
        )


def tokens(prompt: Prompt) -> None:
    """The prompt as tokens, the roles marked; a click follows that token."""
    st.markdown("**The prompt as both models read it**")
    token_strip(prompt.tokens, prompt.roles, "prompt_tokens", lambda i: state.edit(picked=i))
    below(
        "prompt",
        "Framed tokens have a role. Click a token to follow it on the other pages.",
        definitions.ROLES,
        _token_table(prompt),
    )


def text_only() -> None:
    """The prompt while no tokenizer is there yet, in the place of nothing."""
    inside = ", inside INSTRUCT's chat template" if state.experiment().template == "chat" else ""
    st.markdown(f"**The prompt as both models will read it{inside}**")
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


def continuations(overview: Answer) -> None:
    """What each model goes on to write, as it writes it."""
    answers = [follow(overview, "continuation", redraw=False, model=name) for name in MODELS]
    st.markdown("**What each model goes on to write**")
    with figures(*answers, key="continuations"):
        for column, name, answer in zip(st.columns(2), MODELS, answers):
            with column:
                st.caption(name.upper() + (" (stopped)" if answer.stopped else ""))
                line(partial(_continuation, answer, overview.result.prompt))
    running = [answer for answer in answers if answer.running and not answer.stopped]
    if running:
        st.button("Stop writing", on_click=stop, args=(running,), icon=":material/stop:")
    below(
        "continuations",
        "Greedy: at each step the most likely token.",
        definitions.CONTINUATION,
        pd.DataFrame([(name, answer.result) for name, answer in zip(MODELS, answers)], columns=["model", "text"]),
    )


def _continuation(answer: Answer, prompt: Prompt) -> str:
    """The begun answer, and in bold what the model has written so far."""
    text = so_far(answer.job) or ""
    tail = " ▍" if answer.running else ""
    # A chat template may write its whole text in one line.
    _, header, begun = prompt.text.rsplit("\n", 1)[-1].rpartition(HEADER)
    space = " " if text.startswith(" ") else ""
    written = f"{space}**{plain(text.strip())}**" if text.strip() else ""
    return f"{plain(header + begun)}{written}{tail}"
