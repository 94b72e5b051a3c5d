"""Twenty sampled cells of every site, thirty layers deep, against plain forwards of transformers' own model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.patching.growing_pass import shape_of
from core.patching.plan import DIRECTIONS, GROUP_WEIGHTS, SITES, WEIGHT_SITES, Patch, cell, positions_of
from core.patching.sweeps import run_plan
from tests.plain_patches import patched_logits, ungrouped
from tests.random_llama import random_llama, recorded_pair
from tests.random_models import fine_tuned
from tests.transplant import replaced

CELLS, TOLERANCE = 20, 1e-4  # of each site; logits in float32


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """(recordings, prompt, the models of transformers, the same ungrouped): 30 layers, 8 heads in 2 groups."""
    base = random_llama(layers=30, heads=8, d_model=32, d_head=8, d_mlp=48)
    recordings, prompt = recorded_pair(base, tmp_path_factory.mktemp("deep"), tokens=10)
    models = base, fine_tuned(base, size=0.2 / 32**0.5)
    return recordings, prompt, models, tuple(map(ungrouped, models))


def sampled(recordings, site: str, positions: str = "all") -> list[Patch]:
    """At most CELLS of a sweep's cells, the same every time."""
    shape = shape_of(recordings[0])
    places = [(layer, column) for layer in shape.layers_of(site) for column in range(shape.width(site))]
    chosen = np.random.default_rng(7).permutation(len(places))[:CELLS]
    return [cell(site, *places[i], positions_of(positions, shape), shape) for i in sorted(chosen)]


def ran(recordings, prompt, patches, direction) -> np.ndarray:
    rows = [(patch,) for patch in patches]
    return run_plan(recordings, prompt, rows, direction, lambda gap, values, measures: gap.effect(values))


def effect(logits, plain, prompt) -> np.ndarray:
    moved = (logits - plain).double().numpy()
    return moved[:, prompt.answer_id] - moved[:, prompt.original_id]


@torch.no_grad()
def of_end(model, ids) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1]


def of_weights(models, shape, ids, patches) -> torch.Tensor:
    """Of ungrouped models, in which a KV group is the heads that share it."""
    found = []
    for patch in patches:
        if patch.site in GROUP_WEIGHTS:
            patch = Patch(patch.layer, patch.site, tuple(shape.heads_of(patch.heads[0])))
        with replaced("llama", *models, [patch]):
            found.append(of_end(models[0], ids))
    return torch.stack(found)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("positions", ["all", "end"])
@pytest.mark.parametrize("site", SITES)
def test_activations_are_those_that_hooks_put_into_a_plain_model(deep, site, positions, direction):
    recordings, prompt, models, _ = deep
    recipient, donor = models if direction == DIRECTIONS[0] else models[::-1]
    patches = sampled(recordings, site, positions)
    expected = effect(patched_logits(recipient, donor, prompt.ids, patches), of_end(recipient, prompt.ids), prompt)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(ran(recordings, prompt, patches, direction), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("site", WEIGHT_SITES)
def test_weights_are_those_of_a_model_with_its_slices_replaced(deep, site, direction):
    recordings, prompt, _, models = deep
    recipient, donor = models if direction == DIRECTIONS[0] else models[::-1]
    patches = sampled(recordings, site)
    logits = of_weights((recipient, donor), shape_of(recordings[0]), prompt.ids, patches)
    expected = effect(logits, of_end(recipient, prompt.ids), prompt)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(ran(recordings, prompt, patches, direction), expected, rtol=0, atol=TOLERANCE)
