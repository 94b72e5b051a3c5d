"""A speaker's presets: what a file and an address may say, and that what they may not is one line."""

import pytest

from core.experiment import Experiment, InputError, to_query
from core.presets import MOST, SHIPPED, leaves_the_word_open, of_address, of_file

FILE = """
[[preset]]
title = "Boat"
sentence = "The small boat crossed the dangerous river."
original = "dangerous"

[[preset]]
sentence = "The tired nurse closed the door."
instruction = "Repeat the following sentence"
pair = "tiny"
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "talk.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_is_read_in_its_order_an_untitled_entry_by_its_sentence(written):
    found = of_file(written(FILE))
    assert list(found) == ["Boat", "The tired nurse closed the door."]
    assert found["Boat"] == {"sentence": "The small boat crossed the dangerous river.", "original": "dangerous"}
    assert [leaves_the_word_open(changes) for changes in found.values()] == [False, True]


def test_what_a_link_spells_is_a_preset_and_so_is_a_bare_sentence():
    experiment = Experiment(sentence="The small boat sinks.", original="small", answer="little")
    link = "&".join(f"{name}={value}".replace(" ", "+") for name, value in to_query(experiment).items())
    found = of_address(f"The tired nurse sleeps.|{link}")
    assert found["The tired nurse sleeps."] == {"sentence": "The tired nurse sleeps."}
    assert Experiment(**found["The small boat sinks."]) == experiment
    assert of_address("") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[preset]\n", "cannot be read"),
        ("", "holds no presets"),
        ("preset = 3", "holds no presets"),
        ("preset = [3]", "is no table"),
        ("[[preset]]\nsentense = 'x'", "unknown key 'sentense'"),
        ("[[preset]]\nsentence = 3", "is no text"),
        ("[[preset]]\noccurrence = 'two'", "is no whole number"),
        ("[[preset]]\nsentence = 'The quick fox.'\noriginal = 'slow'", "does not stand in the sentence"),
        ("[[preset]]\nsentence = ' '", "preset 1"),
        ("[[preset]]\nprompt = 'The fox is'\noriginal = ''", "the original is empty"),
        ("[[preset]]\npair = 'nobody'", "no pair 'nobody'"),
        ("[[preset]]\ntitle = 'a'\n[[preset]]\ntitle = 'a'", "given twice"),
        ("[[preset]]\n" * (MOST + 1), "given twice|at most"),
    ],
)
def test_a_bad_file_is_told_in_one_line_with_its_name(written, text, said):
    path = written(text)
    with pytest.raises(InputError, match=said) as refused:
        of_file(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_that_is_no_text_is_told_in_one_line(tmp_path):
    path = tmp_path / "talk.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        of_file(path)


def test_every_number_key_has_a_shipped_preset():
    assert len(SHIPPED) == 9
