"""The parts of the Explore page."""

from __future__ import annotations

from contextlib import suppress

import pandas as pd
import streamlit as st

from cache.questions.overview import Overview
from core.experiment import HEADER, InputError, prompt_text
from core.prompt import Prompt, neighbours, role_names
from core.results import MODELS, Summary
from pages.shared import definitions, state
from pages.shared.figures import below
from pages.shared.jobs import POLL, Answer, owner, service
from pages.shared.text import plain, quoted
from pages.shared.tokens import token_strip


def headline(answer: Answer | None) -> None:
    """The question with this prompt's words, and the three numbers."""
    if answer is None:
        st.subheader("Why does INSTRUCT rephrase where BASE repeats?")
    else:
        prompt: Prompt = answer.result.prompt
        st.subheader(f"Does the model write {quoted(prompt.answer)} or repeat {quoted(prompt.original)}?")
    columns = st.columns(3)
    for m, name in enumerate(MODELS):
        with columns[m]:
            _metric(name.upper(), answer, m)
    columns[2].metric(
        "Gap, INSTRUCT − BASE",
        f"{answer.result.summary.gap:+.2f}".replace("-", "−") if answer else "…",
        help="logit difference of INSTRUCT minus that of BASE, in logits",
    )


def _metric(name: str, answer: Answer | None, m: int) -> None:
    label = f"{name}: logit difference"
    if answer is None:
        st.metric(label, "…")
        st.caption("not computed yet")
        return
    summary, prompt = answer.result.summary, answer.result.prompt
    st.metric(label, f"{summary.logit_diff[m]:+.2f}".replace("-", "−"))
    line = " · ".join(
        f"{quoted(word)} {_percent(prob[m])}, rank {int(rank[m])}"
        for word, prob, rank in (
            (prompt.answer, summary.prob_answer, summary.rank_answer),
            (prompt.original, summary.prob_original, summary.rank_original),
        )
    )
    capped = summary.capped_diff[m]
    cap = "" if abs(capped - summary.logit_diff[m]) < 1e-6 else f" · after the soft cap {capped:+.2f}"
    st.caption(line + cap)


def _percent(p: float) -> str:
    return f"{100 * p:.0f}%" if p >= 0.1 else f"{100 * p:.2g}%" if p >= 1e-4 else "< 0.01%"


def disagreement(prompt: Prompt, summary: Summary) -> None:
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
        (i, prompt.ids[i], token, " ".join(role_names(prompt.roles, i)), neighbours(prompt, i))
        for i, token in enumerate(prompt.tokens)
    ]
    return pd.DataFrame(rows, columns=["position", "id", "token", "role", "context"])


def top_table(summary: Summary) -> pd.DataFrame:
    frames = [top.to_frame().assign(model=name) for name, top in zip(MODELS, summary.top)]
    return pd.concat(frames, ignore_index=True)[["model", "token", "id", "prob", "logit"]]


def continuations(overview: Overview) -> None:
    """What each model goes on to write, as it writes it."""
    experiment = state.experiment()
    stopped = st.session_state.setdefault("stopped_texts", set())
    jobs = {
        name: service().ask("continuation", experiment, owner(), model=name)
        for name in MODELS
        if (experiment, name) not in stopped
    }

    def show() -> None:
        running = [job for job in jobs.values() if not job.finished]
        if jobs and not running and active:
            st.rerun()
        for column, name in zip(st.columns(2), MODELS):
            with column:
                _continuation(name, jobs.get(name), overview.prompt)
        if running:
            st.button("Stop writing", on_click=_stop, args=(jobs,), icon=":material/stop:")

    active = any(not job.finished for job in jobs.values())
    st.markdown("**What each model goes on to write**")
    st.fragment(show, run_every=POLL if active else None)()
    texts = [(name, jobs[name].result if name in jobs else None) for name in MODELS]
    below(
        "continuations",
        "Greedy: at each step the most likely token.",
        definitions.CONTINUATION,
        pd.DataFrame(texts, columns=["model", "text"]),
    )


def _continuation(name: str, job, prompt: Prompt) -> None:
    text = "" if job is None else job.result if job.state == "done" else job.partial.result if job.partial else ""
    tail = "" if job is None or job.finished else " ▍"
    # A chat template may write its whole text in one line.
    _, header, begun = prompt.text.rsplit("\n", 1)[-1].rpartition(HEADER)
    start = header + begun
    st.caption(name.upper() + ("" if job is not None else " (stopped)"))
    space = " " if text.startswith(" ") else ""
    written = f"{space}**{plain(text.strip())}**" if text.strip() else ""
    st.markdown(f"{plain(start)}{written}{tail}")


def _stop(jobs: dict) -> None:
    for name, job in jobs.items():
        if not job.finished:
            service().worker.cancel(job.key, owner())
            st.session_state.stopped_texts.add((state.experiment(), name))
