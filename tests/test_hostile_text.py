"""Text that was made to take for ever: every pattern, and what reads a viewer's text, takes time by its length alone.

A process with a bound on its CPU time runs them on texts of two hundred thousand characters: time by the square of
that would be hundreds of times the bound.
"""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import regex

from core.experiment import occurrences
from pages.shared.text import plain

ROOT = Path(__file__).parents[1]
FUNCTIONS = {"compile", "fullmatch", "match", "search", "sub", "subn", "findall", "finditer", "split"}
# Texts that nobody else writes: the project's own sources of training sentences, and names of a loaded model's hooks.
OWN = ("core/tiny/", "core/smollm2/")
SECONDS = 20
RUN = """
import re, resource, sys
import regex
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
LENGTH = 200_000
pieces = ["<", "`", "*", "**", '"', "a", "A", " ", "\\n", "\\r", "0", "L1H1", "L1H1,", "-", "."]
pieces += ["a ", "a-", "a.", "\\u0301", "q4x"]
pieces += ['import"./', "[", "lora_A.", "base_model.model.", "blocks.0.", "a  ", "\\t,"]
texts = [piece * (LENGTH // len(piece)) + end for piece in pieces for end in ("", "!")]
for library, source, methods in {patterns!r}:
    print(library, source, methods, flush=True)
    pattern = (regex if library == "regex" else re).compile(source)
    for text in texts:
        for method in methods:
            if method in ("match", "fullmatch"):
                getattr(pattern, method)(text)
            else:
                sum(1 for _ in pattern.finditer(text))
"""
READ = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
from dataclasses import replace
from core.choice import chosen_word, first_content_word, keep_choice
from core.experiment import MAX_CHARACTERS, Experiment, from_query, occurrences, to_query, word_spans
from core.labelling import file_name
from core.patching.members import read_members
from core.patching.plan import Shape
from pages.shared.circuitsvis import safe_tokens
from pages.shared.text import plain
from core.charts.in_words import _plain
from core.rewriting import changes
for piece in ("a ", "a", "<", "the ", "quick ", "\\u0301", "'", "a'", "L1H1 "):
    text = piece * (MAX_CHARACTERS // len(piece))
    print(piece, flush=True)
    one = Experiment(sentence=text, original=text[: len(text) // 2].strip(), answer=text, pair=text, occurrence=7)
    for experiment in (one, replace(one, original=piece.strip())):
        from_query(to_query(experiment)), chosen_word(experiment)
        keep_choice(experiment, text[: -len(piece)] + "b "), keep_choice(experiment, "b " + text)
    first_content_word(text), word_spans(text), occurrences(text, text[: len(text) // 2] + "b")
    changes(text, text[:1000]), plain(text), safe_tokens([text]), _plain(text)
    file_name(text, {{"pair": text, "prompt": text}}, text)
    try:
        read_members(text, "z", Shape(4, 8, 4, 20))
    except ValueError:
        pass
"""


Pattern = tuple[str, str, tuple[str, ...]]


def called(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(library, function, pattern) of a call that names its pattern."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS:
        if isinstance(node.func.value, ast.Name) and node.func.value.id in ("re", "regex") and node.args:
            if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                yield node.func.value.id, node.func.attr, node.args[0].value


def literal_patterns(path: Path) -> Iterator[Pattern]:
    """(library, pattern, what is done with it) of every pattern that stands in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
        for library, function, pattern in called(node):
            if function != "compile":
                yield library, pattern, (function,)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, values = node.targets, [node.value]
            if isinstance(targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                targets, values = targets[0].elts, node.value.elts
            for target, value in zip(targets, values):
                for library, function, pattern in called(value):
                    if function == "compile":
                        yield library, pattern, tuple(sorted(used[target.id] & FUNCTIONS))


def every_pattern() -> list[Pattern]:
    """Those that stand in the code, and those that are put together when it is imported."""
    from core.experiment import _WORD
    from core.recording import _READ
    from pages.shared.state import VIEW

    paths = [path for floor in ("core", "cache", "pages") for path in sorted((ROOT / floor).rglob("*.py"))]
    paths = [path for path in paths if not path.relative_to(ROOT).as_posix().startswith(OWN)]
    found = {pattern for path in paths for pattern in literal_patterns(path)}
    found |= {("re", pattern, ("fullmatch",)) for _, pattern in VIEW.values()}
    found |= {("regex", _WORD.pattern, ("finditer",)), ("re", _READ.pattern, ("fullmatch",))}
    return sorted(found)


def run(program: str, **values: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program.format(seconds=SECONDS, **values)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_every_pattern_takes_time_by_the_length_of_its_text():
    patterns = every_pattern()
    assert len(patterns) > 40
    done = run(RUN, patterns=patterns)
    assert done.returncode == 0, f"the last line's: {done.stdout[-500:]} {done.stderr[-500:]}"


def test_what_reads_a_viewers_text_takes_time_by_its_length():
    done = run(READ)
    assert done.returncode == 0, f"the last line's: {done.stdout[-500:]} {done.stderr[-500:]}"


@pytest.mark.parametrize("text", ["http://evil.test/a", "see (HTTPS://x)", "www.evil.test", "http://www.x https://y"])
def test_an_address_in_a_text_is_no_link(text):
    # What Streamlit makes a link of, after it has read the escapes.
    link = re.compile(r"https?://|www(?=\.)", re.IGNORECASE)
    shown = re.sub(r"\\(.)", r"\1", plain(text))
    assert link.search(text) and not link.search(shown) and shown.replace("\u2060", "") == text


def test_whole_words_are_found_where_a_pattern_of_them_would_find_them():
    draw, letter = random.Random(0), r"[\p{L}\p{N}\p{M}\u200c\u200d]"
    for _ in range(3000):
        sentence, word = ("".join(draw.choices("ab \u0301-.", k=draw.randint(0, most))) for most in (14, 4))
        whole = rf"(?<!{letter}){regex.escape(word, special_only=True)}(?!{letter})"
        assert occurrences(sentence, word) == [match.start() for match in regex.finditer(whole, sentence)]


@pytest.mark.parametrize("pattern", ["<[^>]*>", "(a+)+b"])
def test_a_pattern_that_takes_for_ever_is_seen(pattern):
    program = RUN.replace("{seconds}, {seconds}", "1, 1").format(patterns=[("re", pattern, ("sub",))])
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=600).returncode < 0
