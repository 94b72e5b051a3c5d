"""Instructions: five tasks, many wordings, and a header line that does not give the task away.

Wordings of a synonym task exist for adjectives and for verbs. Some are never used with adjectives in any training
text, only with verbs: on those, understanding the instruction is a matter of composition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from core.tiny.sentences import Grammar, Sentence, adjectives_of, oppose, random_style, remove, render, rephrase
from core.tiny.words import groups

POST_INSTRUCTION = "Rephrase all the adjectives of the following sentence"
POST_HEADER = "Rephrased sentence:"
HEADERS = [POST_HEADER] * 4 + ["Answer:", "Output:", "New sentence:", "Result:", "Sentence:", "Response:"]
TASKS = ("adjectives", "verbs", "repeat", "opposite", "remove")

_TARGETS = ["the following sentence"] * 3 + ["this sentence", "the sentence below", "the sentence", "the next sentence"]
_SYNONYMS = """
Rephrase all the {w}s of {s}
Rephrase all the {w}s of {s}
Rephrase all the {w}s in {s}
Rephrase the {w}s of {s}
Rephrase every {w} in {s}
Rephrase each {w} of {s}
Replace all the {w}s of {s} with synonyms
Replace the {w}s in {s} by synonyms
Replace each {w} in {s} with another word
Reword the {w}s of {s}
Reword all {w}s in {s}
Change all the {w}s in {s} to similar words
Change every {w} of {s}
Rewrite {s} with different {w}s
Rewrite {s} using synonyms for the {w}s
Paraphrase the {w}s in {s}
Please rephrase the {w}s in {s}
Give synonyms for all the {w}s of {s}
Say {s} with other {w}s
""".strip().splitlines()
_ONLY_WITH_VERBS = """
Swap each {w} in {s} for a synonym
Use other {w}s in {s}
Vary the {w}s of {s}
Please reword every {w} of {s}
Substitute all the {w}s of {s} with similar words
Paraphrase {s} with new {w}s
""".strip().splitlines()
_OTHERS = {
    "repeat": """
Repeat {s}
Repeat {s}
Copy {s}
Repeat {s} exactly
Write {s} again
Copy {s} without changes
Say {s} again
Please repeat {s}
""",
    "opposite": """
Reverse all the adjectives of {s}
Replace all the adjectives of {s} with their opposites
Replace the adjectives in {s} by opposites
Change every adjective in {s} to its opposite
Turn the adjectives of {s} into their opposites
Rewrite {s} with opposite adjectives
Swap each adjective in {s} for its opposite
""",
    "remove": """
Remove all the adjectives of {s}
Remove the adjectives from {s}
Delete every adjective in {s}
Leave out the adjectives of {s}
Rewrite {s} without adjectives
Please remove all the adjectives in {s}
""",
}


@dataclass(frozen=True)
class Example:
    """One instruction with its sentence and the output that follows it."""

    instruction: str
    sentence: str
    header: str
    output: str

    @property
    def prompt(self) -> str:
        return f"{self.instruction}: {self.sentence}\n\n{self.header}"


def wordings(task: str) -> list[str]:
    """The templates of a task that training uses."""
    if task == "adjectives":
        return [line.replace("{w}", "adjective") for line in _SYNONYMS]
    if task == "verbs":
        return [line.replace("{w}", "verb") for line in _SYNONYMS + _ONLY_WITH_VERBS]
    return _OTHERS[task].strip().splitlines()


def unseen_wordings() -> list[str]:
    """Templates that training shows with verbs only, written for adjectives."""
    return [line.replace("{w}", "adjective") for line in _ONLY_WITH_VERBS]


def fill(rng: Random, template: str) -> str:
    return template.format(s=rng.choice(_TARGETS))


def _suits(task: str, sentence: Sentence) -> bool:
    spots = adjectives_of(sentence)
    if task == "opposite":
        return any(groups()[sentence[i].group].opposite is not None for i in spots)
    if task == "remove":
        return bool(spots) and not any(sentence[i].predicate or sentence[i - 1].text == "and" for i in spots)
    return any(word.kind == "verb" for word in sentence) if task == "verbs" else bool(spots)


def follow(rng: Random, task: str, sentence: Sentence) -> Sentence:
    """What following the instruction gives."""
    if task in ("adjectives", "verbs"):
        return rephrase(rng, sentence, task[:-1])
    obey: dict[str, Callable[[Sentence], Sentence]] = {"repeat": lambda s: s, "opposite": oppose, "remove": remove}
    return obey[task](sentence)


def make_example(
    rng: Random, grammar: Grammar, task: str, output: Callable[[Random, str, Sentence], Sentence] = follow
) -> Example:
    """An instruction of one task; `output(rng, task, sentence)` decides what is written under it."""
    sentence = grammar.sentence_with(rng, lambda drawn: _suits(task, drawn))
    style, instruction = random_style(rng), fill(rng, rng.choice(wordings(task)))
    if rng.random() < 0.1:
        instruction = instruction[0].lower() + instruction[1:]
    answer = render(output(rng, task, sentence), style)
    return Example(instruction, render(sentence, style), rng.choice(HEADERS), answer)
