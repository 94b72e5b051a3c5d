"""Examples to begin with: one instruction for each task that the pairs were trained or tried on, and sentences.

The sentences for the embedded tiny pair are in its own words, those for every other pair in everyday English.
"""

from __future__ import annotations

from core.experiment import DEFAULT_INSTRUCTION, DEFAULT_SENTENCE
from core.models.pairs import EMBEDDED

INSTRUCTIONS = {
    "adjectives": DEFAULT_INSTRUCTION,
    "verbs": "Rephrase all the verbs of the following sentence",
    "repeat": "Repeat the following sentence",
    "opposite": "Replace all the adjectives of the following sentence with their opposites",
    "remove": "Remove all the adjectives of the following sentence",
}
"""Task → its instruction; the first is the post's."""

_ENGLISH = (
    DEFAULT_SENTENCE,
    "The tired nurse closed the door.",
    "She bought an expensive watch for her brother.",
    "The small boat crossed the dangerous river.",
    "My grandmother tells wonderful stories.",
    "The soup is delicious.",
)
_OF_THE_TINY_PAIR = (
    DEFAULT_SENTENCE,
    "The happy girl sees the old dog.",
    "The tired horse sleeps near the small river.",
    "The lonely bird watches an old cat.",
    "The brave boy follows the big bear.",
)


def sentences(pair: str) -> tuple[str, ...]:
    """For the pair of an id; the first is the post's."""
    return _OF_THE_TINY_PAIR if pair == EMBEDDED else _ENGLISH


def next_sentence(pair: str, current: str) -> str:
    """The example after the one on screen, or the second where that is none: the first is there from the start."""
    offered = sentences(pair)
    return offered[(offered.index(current) + 1) % len(offered) if current in offered else 1]


def task_of(instruction: str) -> str | None:
    """The task whose instruction this is, to the letter but for a colon behind it."""
    bare = instruction.strip().removesuffix(":").rstrip()
    return next((task for task, text in INSTRUCTIONS.items() if text == bare), None)
