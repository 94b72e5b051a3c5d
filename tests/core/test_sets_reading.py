"""A prompt set is read row by row: what is wrong with a file is said once, what is wrong with a row beside its line."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from core.experiment import Experiment, InputError
from core.models.loading import load_pair
from core.models.pairs import registry
from core.sets.entries import Entry
from core.sets.reading import MAX_BYTES, MAX_ROWS, as_text, read_file, read_set
from core.sets.usable import usable

HEADER = "instruction,sentence,original,answers"
GOOD = "Rephrase the adjectives of the sentence,The quick fox jumps over the dog.,quick,swift;fast"
GOOD_2 = "Rephrase the adjectives of the sentence,The happy girl sees the old dog.,happy,glad"
PARTS = dict(zip(HEADER.split(","), GOOD.split(",")))


def text(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def row(**changes: str) -> bytes:
    """The good row with some cells changed, written as CSV writes it, before a second good row."""
    cells = PARTS | {"structure": "adjective first", "template": "", "id": "a"} | changes
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([cells, cells.values(), [*GOOD_2.split(","), "", "", "b"]])
    return out.getvalue().encode()


def test_a_row_is_read_as_it_is_typed():
    (entry, other), refused = (found := read_set(row(id="first"))).entries, found.refused
    assert entry == Entry(
        line=2,
        id="first",
        instruction="Rephrase the adjectives of the sentence",
        sentence="The quick fox jumps over the dog.",
        original="quick",
        answers=("swift", "fast"),
        structure="adjective first",
    )
    assert (other.line, other.id, other.template, refused) == (3, "b", "", ())


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + text(HEADER, GOOD),
        "\r\n".join([HEADER, GOOD, ""]).encode(),
        text("", "answers,original,Sentence , INSTRUCTION", ",".join(reversed(GOOD.split(",")))),
        text(HEADER, "", GOOD, "", ""),
    ],
    ids=["BOM", "CRLF", "order and case of columns", "blank lines"],
)
def test_how_a_spreadsheet_writes_the_file_changes_nothing(data):
    found = read_set(data)
    assert [replace(entry, line=0, id="") for entry in found.entries] == [
        Entry(0, "", PARTS["instruction"], PARTS["sentence"], "quick", ("swift", "fast"))
    ]
    assert found.refused == ()


def test_quotes_and_commas_in_cells_are_text():
    found = read_set(row(sentence='"Well," said the quick fox.'))
    assert found.entries[0].sentence == '"Well," said the quick fox.' and not found.refused


FILES = {
    "empty": (b"", "the file is empty; its first line names the columns"),
    "blank": (b" \n\n", "the file is empty"),
    "no row": (text(HEADER, ""), "no row below them"),
    "a column is missing": (text("instruction,sentence,original", "a,b,c"), "the column 'answers' is missing"),
    "a column is unknown": (text(HEADER + ",answer", GOOD + ","), "the column 'answer' is unknown"),
    "a column is there twice": (text(HEADER + ",original", GOOD + ","), "the column 'original' is there twice"),
    "no header": (text(GOOD, GOOD_2), "the column 'instruction' is missing"),
    "semicolons": (text(HEADER.replace(",", ";"), GOOD.replace(",", ";")), "the cells are parted by “;”"),
    "tabs": (text(HEADER.replace(",", "\t")), "the cells are parted by tabs"),
    "Latin-1": (text(HEADER, GOOD) + "\nC'est d\xe9j\xe0".encode("latin-1"), "not UTF-8 (byte 0xe9 in line 3)"),
    "UTF-16": (text(HEADER, GOOD).decode().encode("utf-16"), "not UTF-8"),
    "a workbook": (b"PK\x03\x04 and more", "a workbook or an archive"),
    "a PDF": (b"%PDF-1.7\n\xe2", "a PDF, no CSV"),
    "a header with an open quote": (text('"' + HEADER, GOOD), "the line that names the columns cannot be read"),
    "a million rows": (text(HEADER, *["x"] * 1_000_000), f"1,000,000 rows; at most {MAX_ROWS:,}"),
    "too many bytes": (text(HEADER, *[GOOD] * (MAX_BYTES // len(GOOD))), "at most 4 MB"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(case, tmp_path):
    data, message = FILES[case]
    path = tmp_path / "set.csv"
    path.write_bytes(data)
    for read in (lambda: read_set(data), lambda: read_file(path)):
        with pytest.raises(InputError) as caught:
            read()
        assert message in str(caught.value) and caught.value.field == "set" and "\n" not in str(caught.value)


ROWS = {
    "formula": ({"sentence": "=HYPERLINK(A1) quick"}, "the sentence begins with “=”"),
    "formula in an id": ({"id": "@a"}, "the id begins with “@”"),
    "empty answers": ({"answers": " ; "}, "the answers are empty"),
    "too many answers": ({"answers": ";".join("abcdefghijklmnopqrstuvwxyz")}, "at most 20 are tried"),
    "the answer is the original": ({"answers": "swift;Quick"}, "the answer 'Quick' is the original word itself"),
    "no such word": ({"original": "slow"}, "the word 'slow' does not stand in the sentence"),
    "no original": ({"original": ""}, "the original is empty"),
    "the word stands twice": ({"sentence": "A quick fox is quick."}, "'quick' stands more than once"),
    "unknown template": ({"template": "html"}, "the template 'html' is unknown; choose raw or chat"),
    "long structure": ({"structure": "x" * 101}, "101 characters"),
    "control character": ({"sentence": "The quick\x07 fox."}, "control character U+0007"),
    "no instruction": ({"instruction": ":"}, "the instruction is empty"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_named_with_its_line_and_reason_and_the_good_one_is_kept(case):
    changes, message = ROWS[case]
    found = read_set(row(**changes))
    assert [entry.id for entry in found.entries] == ["b"]
    (refused,) = found.refused
    assert refused.line == 2 and message in refused.reason


LINES = {
    "too few cells": ("The quick fox.,quick,swift", "3 cells for 4 columns"),
    "too many cells": ("Rephrase, the quick fox.,quick fox,quick,swift", "5 cells for 4 columns"),
    "an open quote": ('Rephrase,"The quick fox.,quick,swift', "a quote is opened that this line does not close"),
    "text behind a quote": ('Rephrase,"The quick" fox.,quick,swift', "a closed quote is followed by more text"),
    "a cell beyond all bounds": (f"Rephrase,{'x' * 200_000},quick,swift", "a cell is too long"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_line_that_is_no_row_costs_only_itself(case):
    line, message = LINES[case]
    found = read_set(text(HEADER, GOOD, line, GOOD_2))
    assert [entry.line for entry in found.entries] == [2, 4]
    assert [(refused.line, message in refused.reason) for refused in found.refused] == [(3, True)]


def test_a_line_break_within_a_cell_is_refused_and_what_follows_is_kept():
    found = read_set(text(HEADER, GOOD) + b'\nRephrase,"The quick\nfox jumps.",quick,swift\n' + GOOD_2.encode())
    assert [entry.line for entry in found.entries] == [2, 5]
    assert [refused.line for refused in found.refused] == [3, 4]


def test_an_id_and_a_prompt_count_once():
    found = read_set(text(HEADER + ",id", GOOD + ",a", GOOD_2 + ",a", GOOD + ",c"))
    assert [entry.id for entry in found.entries] == ["a"]
    reasons = [refused.reason for refused in found.refused]
    assert "the id 'a' stands in line 2 too" in reasons[0] and "the same prompt stands in line 2" in reasons[1]


def test_a_tables_rows_are_read_as_a_files():
    cells = [dict(zip(HEADER.split(","), line.split(","))) for line in (GOOD, GOOD_2)]
    table = as_text([*cells, PARTS | {"original": "slow"}]).encode()
    assert read_set(table).entries == read_set(text(HEADER, GOOD, GOOD_2)).entries


def test_a_row_is_an_experiment_of_the_pair_that_is_asked():
    (entry,) = read_set(text(HEADER, GOOD)).entries
    of = Experiment(pair="tiny", dtype="float64", template="chat", prompt="free", picked=3, occurrence=2, colon=1)
    made = entry.experiment(of, "fast")
    assert made == Experiment(
        pair="tiny", dtype="float64", template="chat", instruction=PARTS["instruction"], answer="fast"
    )
    assert replace(entry, template="raw").experiment(of, "fast").template == "raw"


@pytest.fixture(scope="module")
def tiny():
    return load_pair(registry()["tiny"])


def test_the_first_answer_of_one_token_is_taken_and_said(tiny):
    found = usable(read_set(row(answers="swift-footed;rapidest;fast;swift")), tiny, Experiment())
    first, second = found.used
    assert first.prompt.answer == " fast" and first.note.startswith("' fast' is taken: the answer ' swift-footed' is")
    assert second.note == "" and found.refused == ()


def test_a_row_without_an_answer_of_one_token_is_left_out_with_every_reason(tiny):
    found = usable(read_set(row(answers="swift-footed;rapidest")), tiny, Experiment())
    assert [used.entry.id for used in found.used] == ["b"]
    (refused,) = found.refused
    assert (refused.line, refused.id) == (2, "a")
    assert "' swift-footed' is" in refused.reason and "' rapidest' is" in refused.reason


def test_a_row_whose_original_is_several_tokens_is_left_out_whatever_its_answers(tiny):
    found = usable(read_set(row(sentence="The photogenic fox.", original="photogenic")), tiny, Experiment())
    assert found.refused[0].reason.startswith("the original ' photogenic' is")


def test_what_was_left_out_before_and_now_stands_in_the_files_order(tiny):
    data = text(HEADER, GOOD.replace("swift;fast", "rapidest"), "x", GOOD_2)
    assert [refused.line for refused in usable(read_set(data), tiny, Experiment()).refused] == [2, 3]
