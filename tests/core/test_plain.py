"""A bridge's model without its hooks: the same numbers, and no weight of its own."""

from __future__ import annotations

import pytest
import torch

from core.models.plain import plain
from tests.random_models import CASE_NAMES, CASES


@pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
def test_the_plain_model_gives_the_bridges_logits_and_holds_its_very_weights(pair_of, family, groups):
    pair = pair_of(family, groups)
    ids = torch.tensor([pair.prompt.ids])
    for bridge in pair.bridges:
        model = plain(bridge)
        assert model is not bridge.original_model and plain(bridge) is model
        with torch.no_grad():
            torch.testing.assert_close(model(ids).logits, bridge(ids), rtol=1e-5, atol=1e-5)
        held = {tensor.data_ptr() for tensor in bridge.original_model.parameters()}
        assert {tensor.data_ptr() for tensor in model.parameters()} <= held
        # What a turn or a test changes of a weight, both see.
        assert {id(p) for p in model.parameters()} <= {id(p) for p in bridge.original_model.parameters()}
