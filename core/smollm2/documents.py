"""The documents that the adapter learns from, drawn from a seeded generator.

An instruction, a sentence, and an output that obeys: only the output is learned. Where a word is replaced, every
replacement of one token that fits is right: the loss asks for their probability together, so that the model keeps its
own favourite. Sentences come from the frames here, those with verbs to rephrase from the embedded pair's grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from core.smollm2.sentences import (
    Sentence,
    Word,
    adjectives_of,
    article,
    fill,
    one_sentence,
    phrases,
    pieces,
    render,
    respell,
    two_sentences,
)
from core.smollm2.words import held_out_in, opposites, synonyms, wordings
from core.tiny import instructions as tiny
from core.tiny.sentences import Grammar, Style, make_policies
from core.tiny.sentences import render as render_tiny
from core.tiny.words import verbs

TASKS = {"adjectives": 0.64, "verbs": 0.08, "repeat": 0.13, "opposite": 0.08, "remove": 0.07}
BEGUN = 0.25  # outputs begun with the sentence's own words, as an analysis does
CHAT = 0.06  # documents in the model's chat template
Options = Callable[[str, str], tuple[str, ...]]  # a word and its kind → what may stand in its place
TWO_SENTENCES, PHRASES = 0.2, 0.35  # of those that ask for synonyms or a copy


@dataclass(frozen=True)
class Piece:
    """A word of the output with the space before it. fitting: every word that may stand here, itself included."""

    text: str
    fitting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """context: the prompt up to the header; given: words of the output that stand already; learned: the rest."""

    instruction: str
    sentence: str
    header: str
    given: str
    learned: tuple[Piece, ...]
    chat: bool = False

    @property
    def text(self) -> str:
        output = "".join(piece.text for piece in self.learned)
        return f"{self.instruction}: {self.sentence}\n\n{self.header}{self.given}{output}"


def _wording(rng: Random, task: str) -> str:
    own = wordings().get(task, ())
    theirs = tuple(text for text in tiny.wordings(task) if text not in wordings()["held out"])
    template = rng.choice(own if own and rng.random() < 0.6 else theirs)
    instruction = tiny.fill(rng, template)
    return instruction[0].lower() + instruction[1:] if rng.random() < 0.1 else instruction


def replaced(rng: Random, sentence: Sentence, options: Options) -> list[Piece]:
    """The sentence with each adjective replaced by one of its options; an article before it fits them all."""
    spots = adjectives_of(sentence)
    texts = {i: rng.choice(found) for i in spots if (found := options(sentence[i].text.lower(), sentence[i].kind))}
    written = respell(sentence, texts)
    output = []
    for i, (word, piece) in enumerate(zip(sentence, pieces(written))):
        fitting = options(word.text.lower(), word.kind) if i in texts else ()
        if i and sentence[i - 1].text.lower() in ("a", "an"):
            fitting = tuple(other for other in fitting if article(other) == article(texts.get(i, word.text)))
        if i == 0:
            fitting = tuple(other.capitalize() for other in fitting)
        output.append(Piece(piece, tuple(" " + other for other in fitting)))
    return output


def _removed(sentence: Sentence) -> list[Piece]:
    kept = []
    for i, word in enumerate(sentence):
        joins = word.text == "and" and 0 < i and sentence[i - 1].kind and sentence[i + 1].kind
        if not word.kind and not joins:
            kept.append(word)
    return [Piece(text) for text in pieces(respell(tuple(kept), {}))]


def _style(rng: Random, sentence: Sentence) -> Sentence:
    """At times lower case, without a stop, or with another one, as people type."""
    words = list(sentence)
    if rng.random() < 0.12:
        words[0] = Word(words[0].text if words[0].text == "I" else words[0].text.lower(), words[0].kind)
    if words[-1].text == "." and rng.random() < 0.18:
        words[-1:] = [] if rng.random() < 0.7 else [Word("!")]
    return tuple(words)


def _suits(task: str, sentence: Sentence) -> bool:
    spots = adjectives_of(sentence)
    if task == "opposite":
        return all(opposites(sentence[i].text.lower(), sentence[i].kind) for i in spots)
    return task != "remove" or not any(sentence[i].predicate for i in spots)


def _output(rng: Random, task: str, sentence: Sentence) -> list[Piece]:
    if task == "remove":
        return _removed(sentence)
    options: dict[str, Options] = {"adjectives": synonyms, "opposite": opposites, "repeat": lambda word, kind: ()}
    return replaced(rng, sentence, options[task])


def _structure(rng: Random, task: str) -> Callable[[Random], str]:
    roll = rng.random()
    if task not in ("adjectives", "repeat") or roll > TWO_SENTENCES + PHRASES:
        return one_sentence
    return two_sentences if roll < TWO_SENTENCES else phrases


def _from_frames(rng: Random, task: str, frame: Callable[[Random], str]) -> Document:
    sentence = fill(rng, frame(rng))
    while not _suits(task, sentence):
        sentence = fill(rng, frame(rng))
    styled = _style(rng, sentence)
    # Its first word and its marks are set by the style, and outputs keep them.
    output = _output(rng, task, sentence)
    if not styled[0].text[0].isupper():
        first = output[0]
        lowered = tuple(other.lower() for other in first.fitting)
        output[0] = Piece(first.text.lower() if first.text != " I" else first.text, lowered)
    output = output[: len(output) - (len(sentence) - len(styled))]
    if styled[-1].text == "!":
        output[-1] = Piece("!")
    begun = rng.choice(adjectives_of(sentence)) if task != "remove" and rng.random() < BEGUN else 0
    given = "".join(pieces(styled)[:begun])
    # What stands before a begun output is the sentence's own; an article may not fit what follows, and is left out.
    if begun and styled[begun - 1].text.lower() in ("a", "an") and output[begun - 1].text != pieces(styled)[begun - 1]:
        begun, given = 0, ""
    return Document(_wording(rng, task), render(styled), rng.choice(tiny.HEADERS), given, tuple(output[begun:]))


_GRAMMAR = Grammar(make_policies().base)


def _with_verbs(rng: Random) -> Document:
    """A sentence of the embedded pair's grammar, its verbs replaced and nothing else."""
    sentence = _GRAMMAR.sentence_with(rng, lambda drawn: any(word.kind == "verb" for word in drawn))
    style = Style()
    output = []
    texts = render_tiny(sentence, style)
    for word, text in zip(sentence, _words_of(texts), strict=True):
        if word.kind == "verb":
            forms = [other[word.form] for other in verbs()[word.group].forms]
            fitting = tuple(" " + form for form in forms if form != word.text)
            output.append(Piece(rng.choice(fitting), fitting))
        else:
            output.append(Piece(text))
    output.append(Piece(style.stop))
    return Document(_wording(rng, "verbs"), texts, rng.choice(tiny.HEADERS), "", tuple(output))


def _words_of(text: str) -> list[str]:
    return [" " + word if word != "," else word for word in text[:-1].replace(",", " ,").split()]


def instruction_document(rng: Random) -> Document:
    """An obeyed instruction that holds nothing of what judges."""
    # Task and structure are drawn once: drawn anew with the words, long texts would hardly ever pass.
    task = rng.choices(list(TASKS), list(TASKS.values()))[0]
    structure = _structure(rng, task)
    while True:
        document = _with_verbs(rng) if task == "verbs" else _from_frames(rng, task, structure)
        if not held_out_in(document.text):
            break
    if not document.given and rng.random() < CHAT:
        return Document(document.instruction, document.sentence, document.header, "", document.learned, chat=True)
    return document
