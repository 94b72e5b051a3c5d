"""A label says which question an answer answers, to people and to whoever chooses answers for a bundle."""

import pytest

from cache.labels import Label, read_label
from cache.questions.catalogue import QUESTIONS
from core.experiment import Experiment

EXPERIMENTS = {
    "default": Experiment(),
    "parts": Experiment(instruction="a & b = ü\n?", sentence="x", original="x", answer="é", colon=1, picked=3),
    "own models": Experiment(pair="", base="/models/a b", instruct="/models/c", dtype="bfloat16", template="chat"),
    "free prompt": Experiment(prompt="2 + 2 =", original=" 5", answer=" 4"),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_label_is_read_as_it_was_written_and_belongs_to_its_experiment(question, name):
    given = EXPERIMENTS[name]
    label = Label(question, QUESTIONS[question].matters(given))
    assert read_label(str(label)) == label and label.is_about(given)


def test_a_label_belongs_to_its_prompt_on_any_models_and_to_no_other():
    label = Label("overview", Experiment(pair="", base="a", instruct="b", dtype="float64"))
    assert label.is_about(Experiment()) and not label.is_about(Experiment(sentence="The quick cat jumps."))


@pytest.mark.parametrize("text", ["", "overview", "unknown?pair=tiny", "overview?pair=tiny&colon=x"])
def test_anything_else_is_no_label(text):
    assert read_label(text) is None


def test_a_label_names_models_and_prompt():
    assert Label("overview", Experiment()).about.startswith(f"{Experiment().pair} · Rephrase all the adjectives")
    assert Label("sweep", EXPERIMENTS["own models"]).about.startswith("/models/a b → /models/c · ")
    assert Label("head_scores", EXPERIMENTS["default"]).about == f"{Experiment().pair} · any prompt"
    assert Label("sweep", EXPERIMENTS["free prompt"]).about.endswith("· 2 + 2 =")
