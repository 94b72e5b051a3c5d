"""The same sentence under other instructions, and counter-instructions that are as long as the own one.

Wordings are those of the embedded pairs' training texts, each also led in by words that ask for nothing: many lengths
of each task, so that one of them has as many tokens as the instruction at hand in the tokenizer at hand. Of several the
one comes first that has most of its tokens where the instruction has them too: two prompts then differ in little but
the task ("Rephrase all the adjectives of …", "Now please remove all the adjectives of …"). Nothing is padded or cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random

from core.experiment import Experiment, InputError, occurrences, prompt_text
from core.models.loading import LoadedPair
from core.prompt import MAX_TOKENS, AnsweredPrompt
from core.recognize.results import FIXED, NONE, OWN, SCRAMBLED
from core.runs import read_prompt
from core.tokens import encode

TARGETS = ("the following sentence", "this sentence", "the sentence below", "the sentence", "the next sentence")
_LEADS = ("Please", "Now", "Now please", "Could you", "I want you to", "Your task now is to")
_SEED = 2025


def instructed(experiment: Experiment, kind: str) -> Experiment:
    """The experiment's sentence and candidates under the instruction of a kind; an `InputError` where there is none.

    Scrambled: the own instruction's words in another order, the same one for the same words. None: the text from the
    sentence on, as a free prompt.
    """
    if kind == OWN:
        return experiment
    if kind == NONE:
        return _without(experiment)
    return replace(experiment, instruction=scrambled(experiment.instruction) if kind == SCRAMBLED else FIXED[kind])


def scrambled(instruction: str) -> str:
    words = instruction.split()
    rng = Random(_SEED)
    if len(set(words)) < 2:
        raise InputError(
            f"the instruction “{instruction}” has no two words whose order could be changed", "instruction"
        )
    mixed = list(words)
    while mixed == words:
        rng.shuffle(mixed)
    return " ".join(mixed)


def _without(experiment: Experiment) -> Experiment:
    if experiment.template != "raw":
        raise InputError("under a chat template there is no prompt without an instruction", "template")
    text, word = prompt_text(experiment), experiment.original.strip()
    assert text.original_end is not None, "the experiment has a sentence"
    starts = occurrences(experiment.sentence.strip(), word)
    begins = text.original_end - len(word) - starts[max(experiment.occurrence, 1) - 1]
    given = {"prompt": text.text[begins:], "original": text.original, "answer": text.answer or ""}
    return replace(experiment, occurrence=0, picked=None, colon=0, **given)


@cache
def counter_wordings(task: str) -> tuple[str, ...]:
    """Every wording of a task, the shown one first, then those of the toy's texts, the others', and all led in."""
    from core.smollm2.words import wordings as english
    from core.tiny.instructions import wordings as tiny

    templates = dict.fromkeys([*tiny(task), *english().get(task, ())])
    filled = (template.format(s=target) for template in templates for target in TARGETS)
    plain = list(dict.fromkeys([FIXED[task], *filled]))
    # A wording that is polite, or a question, as it is takes no second lead; "Could you do not …" is no English.
    bare = [text for text in plain if not text.startswith(("Please", "Could", "Can", "Do not"))]
    led = (f"{lead} {text[0].lower()}{text[1:]}" for lead in _LEADS for text in bare)
    return tuple(dict.fromkeys([*plain, *led]))


def as_long(instruction: str, task: str, pair: LoadedPair) -> tuple[str, ...]:
    """The wordings of a task that have as many tokens as an instruction, most alike first; an `InputError` where none
    has."""
    own = _tokens(instruction, pair)
    every = {wording: _tokens(wording, pair) for wording in counter_wordings(task) if wording != instruction}
    alike = {w: sum(map(int.__eq__, own, ids)) for w, ids in every.items() if len(ids) == len(own)}
    if alike:
        return tuple(sorted(alike, key=lambda wording: -alike[wording]))
    raise InputError(
        f"no wording of “{task}” has the {len(own)} tokens of “{instruction}”; the known ones have "
        f"{', '.join(map(str, sorted(set(map(len, every.values())))))}",
        "instruction",
    )


def counter(
    experiment: Experiment,
    wordings: Sequence[str],
    prompt: AnsweredPrompt,
    pair: LoadedPair,
    max_tokens: int = MAX_TOKENS,
) -> tuple[str, AnsweredPrompt]:
    """The first of the wordings under which the prompt is as long as `prompt` and differs from it inside the
    instruction alone, and that prompt; an `InputError` where there is none."""
    for wording in wordings:
        read = read_prompt(replace(experiment, instruction=wording), pair, max_tokens)
        if isinstance(read, AnsweredPrompt) and differs_inside(prompt, read, experiment.instruction):
            return wording, read
    raise InputError(
        f"every wording as long as “{experiment.instruction}” changes tokens behind the instruction too", "instruction"
    )


def _tokens(instruction: str, pair: LoadedPair) -> tuple[int, ...]:
    """Its ids as they stand before the colon, without what the tokenizer puts before every text."""
    whole, rest = (encode(text, pair.instruct.tokenizer, True)[0] for text in (f"{instruction}:", ":"))
    bos = len(rest) - 1
    return whole[bos : len(whole) - 1]


def differs_inside(prompt: AnsweredPrompt, other: AnsweredPrompt, instruction: str) -> bool:
    """Whether two prompts of one length have the same tokens behind the instruction, and the same candidates."""
    same = (prompt.answer_id, prompt.original_id) == (other.answer_id, other.original_id)
    if len(prompt.ids) != len(other.ids) or not same:
        return False
    shared = "".join(_alike_at_the_end(prompt, other))
    typed = instruction.strip().removesuffix(":").rstrip()
    return shared.endswith(prompt.text[prompt.text.index(typed) + len(typed) :])


def _alike_at_the_end(prompt: AnsweredPrompt, other: AnsweredPrompt) -> list[str]:
    def backwards() -> Iterator[str]:
        for token, a, b in zip(reversed(prompt.tokens), reversed(prompt.ids), reversed(other.ids)):
            if a != b:
                return
            yield token

    return list(backwards())[::-1]
