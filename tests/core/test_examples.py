"""Examples to begin with: each gives what its name says, on the pair that is always there."""

import pytest

from core.examples import INSTRUCTIONS, next_sentence, sentences, task_of
from core.experiment import DEFAULT_INSTRUCTION, DEFAULT_SENTENCE, Experiment, words
from core.generation import rewrite
from core.models.loading import load_pair
from core.models.pairs import EMBEDDED, REAL, registry
from core.rewriting import Rewriting
from core.tiny.known import unknown_words
from core.tiny.words import adjective_group


@pytest.fixture(scope="module")
def rewritten():
    pair = load_pair(registry()[EMBEDDED], "float32", "cpu")

    def of(task: str, sentence: str) -> Rewriting:
        return rewrite(Experiment(pair=EMBEDDED, instruction=INSTRUCTIONS[task], sentence=sentence), pair)

    return of


def test_the_first_ones_are_the_posts():
    assert task_of(DEFAULT_INSTRUCTION) == task_of(DEFAULT_INSTRUCTION + ":") == next(iter(INSTRUCTIONS))
    assert sentences(EMBEDDED)[0] == sentences(REAL)[0] == DEFAULT_SENTENCE
    assert task_of("Rephrase") is None


def test_the_sentences_are_stepped_through_and_come_round():
    current = [DEFAULT_SENTENCE]
    for _ in sentences(EMBEDDED):
        current.append(next_sentence(EMBEDDED, current[-1]))
    assert set(current) == set(sentences(EMBEDDED)) and current[-1] == DEFAULT_SENTENCE
    assert next_sentence(EMBEDDED, "My own.") != DEFAULT_SENTENCE


def test_the_tiny_pair_is_offered_what_it_has_read():
    texts = [*sentences(EMBEDDED), *INSTRUCTIONS.values()]
    assert unknown_words(words(" ".join(texts))) == []


@pytest.mark.parametrize("sentence", sentences(EMBEDDED))
def test_each_task_changes_what_it_names(rewritten, sentence):
    adjectives = adjective_group()
    for task in ("adjectives", "opposite", "remove"):
        found = rewritten(task, sentence)
        assert found.words[found.chosen] in adjectives, (task, found)
        assert found.reason == ("deleted" if task == "remove" else "replaced"), (task, found)
    verbs = rewritten("verbs", sentence)
    assert verbs.reason == "replaced" and verbs.words[verbs.chosen] not in adjectives
    assert rewritten("repeat", sentence).written == sentence
