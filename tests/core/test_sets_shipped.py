"""The sets that come with the project: every row can be read, and enough of them by the pair that they are for."""

from __future__ import annotations

from collections import Counter

import pytest

from core.experiment import Experiment, words
from core.models.loading import load_pair
from core.models.pairs import EMBEDDED, REAL, lacking, registry
from core.sets.reading import STRUCTURES, read_file, shipped_file
from core.sets.usable import usable
from core.tiny.known import unknown_words

PAIRS = (EMBEDDED, REAL)
ENOUGH = 200


@pytest.mark.parametrize("pair", PAIRS)
def test_every_row_is_read_and_every_structure_and_several_instructions_are_there(pair):
    found = read_file(shipped_file(pair))
    assert found.refused == () and len(found.entries) >= ENOUGH
    counts = Counter(entry.structure for entry in found.entries)
    assert set(counts) == set(STRUCTURES) and min(counts.values()) >= 30
    assert len({entry.sentence for entry in found.entries}) == len(found.entries)
    instructions = Counter(entry.instruction for entry in found.entries)
    assert len(instructions) >= 4 and instructions.most_common(1)[0][1] >= len(found.entries) // 3


@pytest.mark.parametrize("pair", PAIRS)
def test_a_structure_is_what_it_says(pair):
    for entry in read_file(shipped_file(pair)).entries:
        place = words(entry.sentence).index(entry.original)
        assert place > 0, entry
        assert (entry.structure == "question") == entry.sentence.endswith("?"), entry
        assert (entry.structure == "verb") == ("verb" in entry.instruction), entry
        assert entry.structure != "adjective first" or place == 1 or pair == EMBEDDED, entry


def test_the_tiny_pairs_set_is_in_its_own_words():
    for entry in read_file(shipped_file(EMBEDDED)).entries:
        assert unknown_words([*words(entry.sentence), *words(entry.instruction), *entry.answers]) == [], entry


@pytest.mark.parametrize("pair", PAIRS)
def test_enough_rows_are_single_tokens_for_the_pair(pair):
    if lacking(registry()[pair]):
        pytest.skip("the pair's files are not here")
    found = usable(read_file(shipped_file(pair)), load_pair(registry()[pair]), Experiment(pair=pair))
    assert len(found.used) >= ENOUGH and len(found.used) + len(found.refused) == 216
    assert pair != EMBEDDED or not found.refused
