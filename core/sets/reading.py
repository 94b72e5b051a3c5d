"""A prompt set from CSV: each row is a prompt, or is refused with its reason while the others are kept.

Columns: instruction, sentence, original, answers (accepted words, “;” between); optional structure, template, id. See
docs/prompt_sets.md. What only a tokenizer can refuse is refused later, by `core.sets.usable`. Nothing here knows torch.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from core.experiment import TEMPLATES, Experiment, InputError, occurrences, prompt_text, shorten
from core.export.tables import FORMULA
from core.models.pairs import EMBEDDED
from core.sets.entries import Entry, PromptSet, Refused

COLUMNS = ("instruction", "sentence", "original", "answers")
OPTIONAL = ("structure", "template", "id")
STRUCTURES = ("adjective first", "late", "two adjectives", "copula", "question", "verb")
MAX_BYTES = 4_000_000
MAX_ROWS = 10_000
MAX_ANSWERS = 20
MAX_LABEL = 100  # characters of a structure or an id
_SAVE = "save it as “CSV UTF-8”, cells parted by commas"
_OTHERS = {b"PK\x03\x04": "a workbook or an archive", b"%PDF-": "a PDF"}  # by the bytes that they begin with
_FOLDER = Path(__file__).parent
Key = TypeVar("Key", bound=Hashable)


def shipped_file(pair: str) -> Path:
    """The set that comes with the project for a pair: in the embedded pair's own words, or in everyday English."""
    return _FOLDER / ("tiny.csv" if pair == EMBEDDED else "english.csv")


def read_file(path: Path) -> PromptSet:
    """The set in a file, or an `InputError`; `OSError` where there is no such file."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise _too_large(size)
    return read_set(path.read_bytes())


def read_set(data: bytes) -> PromptSet:
    """The set in a file's bytes, or an `InputError` where no row of it can be read."""
    if len(data) > MAX_BYTES:
        raise _too_large(len(data))
    lines = _lines(_decoded(data))
    head = next((n for n, line in enumerate(lines) if line.strip()), None)
    if head is None:
        raise InputError(f"the file is empty; its first line names the columns: {', '.join(COLUMNS)}", "set")
    names = _columns(lines[head])
    rows = [(n, line) for n, line in enumerate(lines[head + 1 :], head + 2) if line.strip()]
    if not rows:
        raise InputError("the file names its columns and has no row below them; write a prompt in each row", "set")
    return _gathered(((number, line, _cells(line, names)) for number, line in rows), len(rows))


def _too_large(size: int) -> InputError:
    return InputError(
        f"the file has {size / 1e6:,.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB and {MAX_ROWS:,} rows can be read: "
        "split it",
        "set",
    )


def _decoded(data: bytes) -> str:
    for start, kind in _OTHERS.items():
        if data.startswith(start):
            raise InputError(f"the file is {kind}, no CSV; {_SAVE}", "set")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        raise InputError(f"the file is not UTF-8 (byte 0x{byte:02x} in line {line}); {_SAVE}", "set") from None


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def _columns(line: str) -> list[str]:
    named = _cells(line, None)
    if isinstance(named, str):
        raise InputError(f"the line that names the columns cannot be read: {named}", "set")
    names = [name.strip().casefold() for name in named.values()]
    expected = f"the columns are {', '.join(COLUMNS)} and, if wanted, {', '.join(OPTIONAL)}"
    if len(names) == 1 and (other := next((sign for sign in ";\t|" if sign in names[0]), None)):
        sign = "tabs" if other == "\t" else f"“{other}”"
        raise InputError(f"the cells are parted by {sign}; {_SAVE} ({expected})", "set")
    if missing := [name for name in COLUMNS if name not in names]:
        found = shorten(", ".join(names), 100)
        raise InputError(f"the column {missing[0]!r} is missing (found: {found}); {expected}", "set")
    if unknown := [name for name in names if name not in (*COLUMNS, *OPTIONAL)]:
        raise InputError(f"the column {shorten(unknown[0], 40)!r} is unknown; {expected}", "set")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"the column {twice[0]!r} is there twice; {expected}", "set")
    return names


def _cells(line: str, names: list[str] | None) -> dict[str, str] | str:
    """A line's cells by column, by number without columns; or why they cannot be read.

    A line at a time, so that a quote that never ends costs one row and not all that follow.
    """
    try:
        cells = next(csv.reader([line], strict=True))
    except csv.Error as error:
        if "end of data" in str(error):
            return (
                "a quote is opened that this line does not close; write a quote within a cell twice, and no line break "
                "in one"
            )
        if "limit" in str(error):
            return "a cell is too long"
        return 'a closed quote is followed by more text; write the cell in quotes, and quotes within it twice ("")'
    if names is None:
        return {str(n): cell for n, cell in enumerate(cells)}
    if len(cells) != len(names):
        return f"it has {len(cells)} cells for {len(names)} columns; write a cell with a comma in quotes"
    return dict(zip(names, cells))


def _gathered(rows: Iterator[tuple[int, str, dict[str, str] | str]], count: int) -> PromptSet:
    if count > MAX_ROWS:
        raise InputError(f"the set has {count:,} rows; at most {MAX_ROWS:,} can be run: split it", "set")
    entries: list[Entry] = []
    refused: list[Refused] = []
    ids: dict[str, int] = {}
    prompts: dict[tuple[str, ...], int] = {}
    for line, text, cells in rows:
        if isinstance(cells, str):
            refused.append(Refused(line, "", f"{cells} (“{shorten(text, 40)}”)"))
            continue
        name = shorten(cells.get("id", "").strip(), MAX_LABEL)
        try:
            entry = _entry(line, cells)
            _check_once(entry.id, ids, line, f"the id {entry.id!r} stands in line {{}} too; give each row its own")
            same = (entry.instruction, entry.sentence, entry.original, entry.template)
            _check_once(same, prompts, line, "the same prompt stands in line {}; each counts once")
            entries.append(entry)
        except InputError as error:
            refused.append(Refused(line, name, str(error)))
    return PromptSet(tuple(entries), tuple(refused))


def _check_once(key: Key, seen: dict[Key, int], line: int, message: str) -> None:
    if (before := seen.setdefault(key, line)) != line:
        raise InputError(message.format(before), "set")


def _entry(line: int, cells: Mapping[str, str]) -> Entry:
    """A row as an entry, or an `InputError` with the reason why it is none."""
    found = {name: (cells.get(name) or "").strip() for name in (*COLUMNS, *OPTIONAL)}
    for name, cell in found.items():
        if cell.startswith(FORMULA):
            raise InputError(
                f"the {name} begins with “{cell[0]}”, which a spreadsheet takes for a formula; begin it with a word",
                name,
            )
        if "\n" in cell or "\r" in cell:
            raise InputError(f"the {name} holds a line break; write it in one line", name)
    for name in ("structure", "id"):
        if len(found[name]) > MAX_LABEL:
            raise InputError(f"the {name} has {len(found[name])} characters; at most {MAX_LABEL} are shown", name)
    template = found["template"].casefold()
    if template and template not in TEMPLATES:
        raise InputError(
            f"the template {shorten(template, 30)!r} is unknown; choose {' or '.join(TEMPLATES)}", "template"
        )
    answers = tuple(dict.fromkeys(word.strip() for word in found["answers"].split(";") if word.strip()))
    if not answers:
        raise InputError("the answers are empty; write an accepted word, or several with “;” between", "answers")
    if len(answers) > MAX_ANSWERS:
        raise InputError(f"{len(answers)} answers are given; at most {MAX_ANSWERS} are tried", "answers")
    entry = Entry(
        line=line,
        id=found["id"] or f"line {line}",
        instruction=found["instruction"],
        sentence=found["sentence"],
        original=found["original"],
        answers=answers,
        structure=found["structure"],
        template=template,
    )
    if entry.original and len(occurrences(entry.sentence, entry.original)) > 1:
        raise InputError(
            f"{entry.original!r} stands more than once in the sentence, which does not say which is meant; change it",
            "original",
        )
    for answer in answers:
        prompt_text(entry.experiment(Experiment(), answer))
    return entry


def as_text(rows: Iterable[Mapping[str, str]]) -> str:
    """A table's rows by column as the text of such a file; whether they can be used is said when it is read."""
    file = io.StringIO()
    names = (*COLUMNS, *OPTIONAL)
    writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: " ".join(str(row.get(name) or "").splitlines()) for name in names})
    return file.getvalue()


def sampled(text: str, count: int) -> str:
    """The same file with `count` of its good rows, at even distances; every row stays in its line."""
    entries = read_set(text.encode()).entries
    if count >= len(entries):
        return text
    kept = {entries[n * len(entries) // count].line for n in range(count)}
    left_out = {entry.line for entry in entries} - kept
    lines = _lines(text)
    return "\n".join("" if number in left_out else line for number, line in enumerate(lines, 1))
