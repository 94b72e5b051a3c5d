"""Compare A with B: B is what is edited, A an experiment that was kept, with the key C or from the history.

Both stand beside each other with their difference, on every page that has a figure of it; the address spells both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.charts import theme
from core.comparison import in_words, joined
from core.experiment import InputError
from core.wording import word
from pages.shared import stage, state
from pages.shared.asking import Answer, Asking
from pages.shared.figures import figures
from pages.shared.shortcuts import Shortcut
from pages.shared.text import plain
from pages.shared.watching import Text, line

# What is compared takes the place of the page's question; Streamlit draws what follows a text one rem over it.
_CSS = """<style>
.stApp .stMain .stHeading:has(h1) { position: absolute; clip-path: inset(50%); }
.st-key-compare_bar { padding: .1rem .8rem; border-left: 4px solid var(--primary-color, #2b5d9b); }
.st-key-compare_bar button { min-height: 1.7rem; }
.st-key-compare_bar :is([data-testid=stMarkdownContainer], p) { margin: 0; }
.st-key-compared_a, .st-key-compared_b, .st-key-compared_difference { padding-bottom: 1rem; }
.st-key-page:has(> * > .st-key-compared_findings, > .st-key-compared_findings) { gap: .3rem; }
.st-key-compared_findings { margin-top: -.6rem; }
.st-key-compared_findings p { line-height: 1.35; }
.st-key-compared_a p, .st-key-compared_b p { font-size: .95rem; min-height: 4.05em; }
.st-key-compared_difference p { min-height: 2.7em; font-weight: 600; }
/* While a line is written anew there is none. */
.st-key-compared_a, .st-key-compared_b { min-height: 3.85rem; }
.st-key-compared_difference { min-height: 2.7rem; }
@media (min-width: 900px) {
  .st-key-compare_bar { flex-wrap: nowrap; }
  .st-key-compare_bar > :first-child { min-width: 0; }
  .st-key-compare_bar p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
}
</style>"""
_ON_STAGE = """<style>
.stApp .st-key-compare_bar p { font-size: 1.15rem; }
.stApp .st-key-compared_a p, .stApp .st-key-compared_b p { font-size: 1.05rem; line-height: 1.3; min-height: 2.6em; }
.stApp .st-key-compared_difference p { font-size: 1.2rem; line-height: 1.3; min-height: 2.6em; }
.stApp .st-key-compared_a, .stApp .st-key-compared_b { min-height: 2.73rem; }
.stApp .st-key-compared_difference { min-height: 3.12rem; }
</style>"""


@dataclass(frozen=True)
class Both:
    """The questions about A and about B in this run of a page."""

    a: Asking
    b: Asking

    @property
    def overviews(self) -> tuple[Answer, Answer]:
        return self.ask("overview")

    def ask(self, question: str, **options) -> tuple[Answer, Answer]:
        """A's answer and B's."""
        return self.a.ask(question, **options), self.b.ask(question, **options)

    def follow(self, overviews: Sequence[Answer], question: str, **options) -> tuple[Answer, Answer]:
        a, b = (each.follow(of, question, **options) for each, of in zip((self.a, self.b), overviews))
        return a, b


def toggle() -> None:
    """Keep the experiment as A and compare what it is edited to with it, or end that; for callbacks."""
    state.compare(None if state.compared() is not None else state.experiment())


SHORTCUTS = (Shortcut("c", "compare: keep this as A, edit B; again to end it", toggle),)


def button() -> None:
    """For the prompt bar."""
    help_ = "Keep this experiment as A and compare what you edit with it: C"
    st.button("Compare", on_click=toggle, type="tertiary", key="compare", help=help_)


def bar(alone: str) -> None:
    """What A is, while there is one; alone: the page's name where it has nothing of A."""
    a = state.compared()
    if a is None:
        return
    st.html(_CSS + (_ON_STAGE if stage.on() else ""))
    with st.container(key="compare_bar", horizontal=True, vertical_alignment="center", gap="small"):
        told = in_words(a, state.experiment()) or "the same as B, which is edited above"
        told += f". {alone} shows B alone." if alone else ""
        st.markdown(f"**A** {plain(told)}", width="stretch")
        st.button("Swap", on_click=state.swap, type="tertiary", key="compare_swap", help="A becomes B, and B becomes A")
        st.button("Close", on_click=toggle, type="tertiary", key="compare_close", help="End the comparison: C")


def size() -> theme.SizeName:
    return stage.size("beside")


def titles(a: Answer, b: Answer) -> list[str]:
    """Of the panels of two overviews: A and B with what is compared in each, and their difference."""
    prompts = [answer.result.prompt for answer in (a, b)]
    return [*(f"{n}: {word(p.original)} → {word(p.answer)}" for n, p in zip("AB", prompts)), "B − A"]


def reading(text: str, no_difference: str) -> str:
    """How to read a figure of both; no_difference: why it has none, if that is so."""
    return text + (f" {no_difference}" if no_difference else "")


def of(both: Both) -> dict[str, object]:
    """What a download is of besides B: A's prompt."""
    return {"compared_with": both.overviews[0].result.prompt.text}


def table(both: Both, rows: tuple[pd.DataFrame, pd.DataFrame], by: Sequence[str]) -> Callable[[], pd.DataFrame]:
    """Makes one table of both, below each other, and of their difference where both have the same rows; by: the columns
    that name a row."""
    a, b = (frame.assign(**_about(overview)) for frame, overview in zip(rows, both.overviews))
    return lambda: joined(a, b, by)


def _about(overview: Answer) -> dict[str, str]:
    """What a row is of."""
    prompt = overview.result.prompt
    return {"pair": overview.result.pair, "prompt": prompt.text, "original": prompt.original, "answer": prompt.answer}


def both(asking: Asking) -> Both:
    assert asking.compared is not None, "a page is compared only where there is an A"
    return Both(asking.compared, asking)


def ready(both: Both, *answers: Answer) -> bool:
    """Whether there is something of both; else what is wrong, or that it is on its way, in the place of the figures."""
    refused = list(dict.fromkeys(both.a.errors.values()))
    # Said here, where it is not mistaken for what is wrong with B.
    told = st.session_state.asking.told
    told |= {each.job for each in answers if isinstance(each.failure, InputError) and str(each.failure) in refused}
    for message in refused:
        st.error(plain(f"A: {message}"))
    if all(answer.value is not None for answer in answers):
        return True
    with figures(*answers, key="first"):
        if not refused and all(answer.failure is None for answer in answers):
            st.info("A and B stand here once the models have run on both.")
    return False


def findings(a: Sequence[Answer], b: Sequence[Answer], said: Sequence[str | Text], terms: str) -> None:
    """What A shows, what B shows, and how far they differ: each dimmed by its own answers. said: in this order."""
    with st.container(key="compared_findings", gap="xsmall"):
        for name, column, answers, text in zip("AB", st.columns(2), (a, b), said):
            with column, st.container(key=f"compared_{name.lower()}"), figures(*answers, key=f"finding_{name.lower()}"):
                _say(text, f"**{name}** ")
        with st.container(key="compared_difference"), figures(*a, *b, key="finding_difference"):
            _say(said[2], "", terms)


def _say(text: str | Text, before: str, terms: str | None = None) -> None:
    """A text, written anew while jobs run where it is made anew."""
    if callable(text):
        line(lambda: before + plain(text()), terms)
    else:
        st.markdown(before + plain(text), help=terms)
