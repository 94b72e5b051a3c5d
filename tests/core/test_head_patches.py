"""One head's patches: the same numbers as sweeps give, and what a group's value vector is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.head.patches import patch_head
from core.head.results import HEAD_PATCHES
from core.patching.plan import DIRECTIONS, unit
from core.patching.sweeps import sweep


@pytest.fixture(scope="module")
def pair(pair_of):
    return pair_of("llama", 2, torch.float64)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_heads_patches_are_its_cells_of_the_sweeps(pair, direction):
    layer, head, group = 1, 2, 1
    found = patch_head(pair.recordings, pair.prompt, layer, head, direction)
    assert (found.group, found.group_heads) == (group, (2, 3))
    for site in HEAD_PATCHES:
        whole = sweep(pair.recordings, pair.prompt, site, direction)
        column = head if unit(site) == "head" else group
        assert found.effect[site] == pytest.approx(whole.effect[layer, column], abs=1e-9)


def test_a_groups_value_patch_is_its_joint_value_only_patch(pair):
    found = patch_head(pair.recordings, pair.prompt, 0, 1)
    assert found.effect["v"] == pytest.approx(found.effect["joint_value_only"], abs=1e-9)
    assert abs(found.effect["v"]) > 1e-6


def test_the_table_names_the_head_alone_and_its_group(pair):
    table = patch_head(pair.recordings, pair.prompt, 1, 3).to_frame()
    assert list(table["patch"]) == list(HEAD_PATCHES)
    assert list(table["of"]) == ["L1H3"] * 4 + ["L1KV1"] * 4
    assert np.isfinite(table["effect"]).all()
