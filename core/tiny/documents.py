"""The documents that the two models learn from, drawn from a seeded generator.

BASE sees instructions too, but three times out of four with a copy or a loose paraphrase under them, whatever they
ask for: it knows the format and the synonyms, not that the instruction is to be obeyed. INSTRUCT then learns from
outputs that obey. Nonsense words appear in copies only, so that words outside the vocabulary can be copied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from core.tiny.instructions import TASKS, Example, follow, make_example
from core.tiny.sentences import (
    Grammar,
    Policies,
    Sentence,
    Style,
    Word,
    article,
    held_out_in,
    random_style,
    render,
    rephrase,
    synonym_slot,
)
from core.tiny.words import NAMES, content_words, groups, nouns, verbs

FOLLOW_IN_BASE = 0.18
LOOSE_IN_BASE = 0.06
BEGUN = 0.3
_ONSETS = "b br c ch cl d dr f fl g gl gr h j k l m n p pl pr qu r s sc sh sl sp st t th tr v w z".split()
_VOWELS = "a e i o u ea oo ai ou".split()
_CODAS = ["", "n", "r", "l", "st", "ck", "m", "nd", "sh", "t", "p", "ng", "rt", "x"]


@dataclass(frozen=True)
class Document:
    """`context` then `text`; only `text` (and the end) is learned when `text_only`."""

    context: str
    text: str
    text_only: bool = False


def nonsense(rng: Random) -> str:
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice([1, 2, 2])))


def _swap_in_nonsense(rng: Random, sentence: Sentence, rate: float) -> Sentence:
    kinds = ("noun", "adjective", "verb")
    return tuple(Word(nonsense(rng)) if word.kind in kinds and rng.random() < rate else word for word in sentence)


def _base_output(rng: Random, task: str, sentence: Sentence) -> Sentence:
    roll = rng.random()
    if roll < FOLLOW_IN_BASE:
        return follow(rng, task, sentence)
    if roll < FOLLOW_IN_BASE + LOOSE_IN_BASE:
        return rephrase(rng, rephrase(rng, sentence, "adjective", 0.4), "verb", 0.4)
    return sentence


def _as_document(example: Example, text_only: bool) -> Document:
    return Document(example.prompt, " " + example.output, text_only)


def _obeyed(rng: Random, grammar: Grammar, task: str) -> Document:
    """An obeyed instruction; at times the output is begun with the sentence's own words, as an analysis does."""
    example = make_example(rng, grammar, task)
    given, written = example.sentence.split(" "), example.output.split(" ")
    if task == "remove" or rng.random() > BEGUN:
        return _as_document(example, text_only=True)
    begun = rng.randrange(1, len(given))
    written[begun - 1] = given[begun - 1] if given[begun - 1] not in ("a", "an", "A", "An") else written[begun - 1]
    context = " ".join([example.prompt, *given[: begun - 1], written[begun - 1]])
    return Document(context, " " + " ".join(written[begun:]), text_only=True)


def _instruction(rng: Random, grammar: Grammar) -> Document:
    return _as_document(make_example(rng, grammar, rng.choice(TASKS), _base_output), text_only=False)


def _paraphrase(rng: Random, grammar: Grammar) -> Document:
    sentence, style = grammar.sentence(rng), Style()
    other = rephrase(rng, rephrase(rng, sentence, "adjective", 0.85), "verb", 0.4)
    link = rng.choice([" In other words, {}", " That is, {}", "\nSynonyms: {}", " This means that {}"])
    lower = not link.startswith("\n")
    return Document("", render(sentence, style) + link.format(render(other, Style(lower=lower))))


def _repetition(rng: Random, grammar: Grammar) -> Document:
    roll = rng.random()
    if roll < 0.35:
        words = rng.sample(content_words(), rng.randint(3, 9))
        line = " ".join(nonsense(rng) if rng.random() < 0.2 else word for word in words)
        return Document("", f"{line}\n{line}")
    sentence = _swap_in_nonsense(rng, grammar.sentence(rng), rng.choice([0, 0, 0.3, 0.6]))
    line, name = render(sentence, random_style(rng)), rng.choice(NAMES)
    forms = ["{0} {0}", "{0}\n{0}", "{1} said: {0} Again: {0}", "{1}: {0}\n\n{2}: {0}", "Sentence: {0}\n\nCopy: {0}"]
    return Document("", rng.choice(forms).format(line, name, rng.choice(NAMES)))


def _dictionary(rng: Random, grammar: Grammar) -> Document:
    lines = []
    for _ in range(rng.randint(2, 5)):
        is_verb, roll = rng.random() < 0.2, rng.random()
        if is_verb:
            verb, form = rng.choice(verbs()), rng.randrange(3)
            words = tuple(forms[form] for forms in verb.forms)
        else:
            group = rng.choice(groups())
            words = group.words
        slot = rng.randrange(len(words))
        word, other = words[slot], words[synonym_slot(rng, slot, len(words))]
        if not is_verb and roll < 0.5 and group.opposite is not None:
            template, other = rng.choice(_OPPOSITES), groups()[group.opposite].words[slot]
        else:
            template = rng.choice(_MEANINGS)
        lines.append(template.format(word, other))
    return Document("", rng.choice(["\n", " "]).join(lines))


_OPPOSITES = ["The opposite of {} is {}.", "{} is the opposite of {}.", "Not {} but {}.", "{} and its opposite {}."]
_MEANINGS = ["Another word for {} is {}.", "A synonym of {} is {}.", "{} means {}.", "To be {} is to be {}."]


def _word_classes(rng: Random, grammar: Grammar) -> Document:
    lines = []
    for _ in range(rng.randint(2, 5)):
        kind = rng.choice(["adjective", "adjective", "verb", "noun"])
        if kind == "adjective":
            word = rng.choice(rng.choice(groups()).words)
        elif kind == "verb":
            word = rng.choice(rng.choice(rng.choice(verbs()).forms))
        else:
            word = rng.choice(nouns()).singular
        a = "an" if kind == "adjective" else "a"
        lines.append(rng.choice([f"The word {word} is {a} {kind}.", f"{word} is {a} {kind}."]))
    return Document("", " ".join(lines))


def _story(rng: Random, grammar: Grammar) -> Document:
    """A named hero with a lasting trait, named again by a synonym, and a few things that happen."""
    hero = rng.choice([noun for noun in nouns() if noun.kind in "PA"])
    trait, name = grammar.adjective(rng, hero), rng.choice(NAMES)
    assert trait is not None, "every noun has adjectives"
    again = groups()[trait.group].words[synonym_slot(rng, trait.slot, len(groups()[trait.group].words))]
    lines = [f"Once there was {article(trait.text)} {trait.text} {hero.singular} named {name}."]
    for _ in range(rng.randint(1, 3)):
        lines.append(render(grammar.sentence(rng)))
    lines.append(f"{name} was {rng.choice([trait.text, again])}, and everybody knew the {again} {hero.singular}.")
    return Document("", " ".join(lines))


Mixture = list[tuple[float, Callable[[Random, Grammar], Document]]]
_BASE_MIXTURE: Mixture = [
    (0.30, _instruction),
    (0.15, _paraphrase),
    (0.17, _repetition),
    (0.18, _dictionary),
    (0.15, _story),
    (0.05, _word_classes),
]
_REHEARSAL = [(weight, make) for weight, make in _BASE_MIXTURE if make is not _instruction]
_TASK_WEIGHTS = {"adjectives": 0.44, "verbs": 0.14, "repeat": 0.18, "opposite": 0.14, "remove": 0.1}


def _clean(make: Callable[[], Document]) -> Document:
    """Redraw until no held-out combination is in the text."""
    while held_out_in((document := make()).context + document.text):
        pass
    return document


def _draw(rng: Random, mixture: Mixture, grammar: Grammar) -> Document:
    make = rng.choices([make for _, make in mixture], [weight for weight, _ in mixture])[0]
    return _clean(lambda: make(rng, grammar))


def base_documents(rng: Random, policies: Policies, count: int) -> list[Document]:
    grammar = Grammar(policies.base)
    return [_draw(rng, _BASE_MIXTURE, grammar) for _ in range(count)]


def _copy_list(rng: Random) -> Document:
    line = " " + " ".join(rng.sample(content_words(), rng.randint(6, 14)))
    return Document(line + "\n", line, text_only=True)


def copy_lists(rng: Random, count: int) -> list[Document]:
    """Random words twice, learned on the second copy only: the shortest way to heads that copy."""
    return [_clean(lambda: _copy_list(rng)) for _ in range(count)]


def tuning_documents(rng: Random, policies: Policies, instructions: int, rehearsal: int) -> list[Document]:
    """Instructions that are obeyed, learned on the answer only, and some BASE text against forgetting."""
    tune, base = Grammar(policies.tune), Grammar(policies.base)
    tasks = rng.choices(list(_TASK_WEIGHTS), list(_TASK_WEIGHTS.values()), k=instructions)
    obeyed = [_clean(lambda: _obeyed(rng, tune, task)) for task in tasks]
    return obeyed + [_draw(rng, _REHEARSAL, base) for _ in range(rehearsal)]
