"""Which rows of a set a pair of models can run: both must read the prompt alike, each candidate as one token.

Of several accepted answers the first that is one token is taken, and said. What is left out is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Callable

from core.experiment import Experiment, InputError
from core.models.loading import LoadedPair
from core.prompt import MAX_TOKENS, AnsweredPrompt
from core.runs import read_prompt
from core.sets.entries import Entry, PromptSet, Refused, Usable, Used


def usable(
    found: PromptSet,
    pair: LoadedPair,
    of: Experiment,
    max_tokens: int = MAX_TOKENS,
    checkpoint: Callable[[], None] = lambda: None,
) -> Usable:
    """of: what is the same of every prompt; see `Entry.experiment`. checkpoint may raise to cancel."""
    used: list[Used] = []
    refused = list(found.refused)
    for entry in found.entries:
        checkpoint()
        try:
            used.append(_used(entry, pair, of, max_tokens))
        except InputError as error:
            refused.append(Refused(entry.line, entry.id, str(error)))
    return Usable(tuple(used), tuple(sorted(refused, key=lambda row: row.line)))


def _used(entry: Entry, pair: LoadedPair, of: Experiment, max_tokens: int) -> Used:
    passed_over: list[str] = []
    for answer in entry.answers:
        try:
            prompt = read_prompt(entry.experiment(of, answer), pair, max_tokens)
        except InputError as error:
            # Another answer cannot mend what is wrong with anything else.
            if error.field != "answer":
                raise
            # Without its remedy, which is another answer.
            passed_over.append(str(error).partition(";")[0])
        else:
            assert isinstance(prompt, AnsweredPrompt), "the experiment names an answer"
            note = f"{prompt.answer!r} is taken: {'; '.join(passed_over)}" if passed_over else ""
            return Used(entry, prompt, note)
    raise InputError(f"no answer can be used: {'; '.join(passed_over)}", "answer")
