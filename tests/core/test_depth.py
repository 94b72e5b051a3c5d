"""The logit lens: what it reads at the ends of the stream, point by point, and what it says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.depth import look_through_depth
from core.logit_difference import summarize
from core.results import MODELS, Depth
from tests.random_models import CASE_NAMES, CASES


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)
def test_the_last_point_is_the_run_and_answer_minus_original_the_difference(pair_of, family, groups, dtype):
    pair = pair_of(family, groups, dtype)
    found, plain = look_through_depth(pair.recordings, pair.prompt), summarize(pair.recordings, pair.prompt)
    close = dict(rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-10)
    for name in ("logit_answer", "logit_original", "logit_diff"):
        np.testing.assert_allclose(getattr(found, name)[:, -1], getattr(plain, name), **close)
    np.testing.assert_allclose(found.logit_answer - found.logit_original, found.logit_diff, **close)
    # Blocks whose attention and MLP stand side by side have nothing between them.
    assert found.at.tolist() == ([0, 1, 2] if family == "neox" else [0, 0.5, 1, 1.5, 2])
    assert len(found.checks) == 4 and all(check.holds for check in found.checks)


@pytest.mark.parametrize("family, norm, head", [("llama", "model.norm", "lm_head"), ("olmo2", "model.norm", "lm_head")])
def test_a_point_is_read_through_the_models_own_norm_and_unembedding(pair_of, family, norm, head):
    pair = pair_of(family)
    found = look_through_depth(pair.recordings, pair.prompt)
    for m, (model, recording) in enumerate(zip(pair.models, pair.recordings)):
        modules, names = dict(model.named_modules()), ("hook_resid_pre", "hook_resid_mid")
        streams = [recording.layer(layer, name)[-1].double() for layer in range(2) for name in names]
        with torch.no_grad():
            logits = modules[head](modules[norm](torch.stack(streams)).double()).numpy()
        np.testing.assert_allclose(found.logit_answer[m, :-1], logits[:, pair.prompt.answer_id], atol=1e-5)
        np.testing.assert_allclose(found.logit_original[m, :-1], logits[:, pair.prompt.original_id], atol=1e-5)


def test_a_final_stream_that_is_not_the_runs_fails_the_check(pair_of):
    pair = pair_of()
    base, instruct = pair.recordings
    base.next_token_logits  # formed before the stream is another one  # noqa: B018
    other = replace(
        base, activations=base.activations | {"ln_final.hook_in": base.activations["blocks.1.hook_resid_mid"]}
    )
    vars(other)["next_token_logits"] = base.next_token_logits
    checks = look_through_depth((other, instruct), pair.prompt).checks
    assert [check.holds for check in checks] == [False, True, True, True]


def lens(base, instruct) -> Depth:
    difference = np.array([base, instruct], float)
    at = np.arange(difference.shape[1]) / 2
    return Depth(at, " swift", " quick", difference + 1, np.ones_like(difference), difference, ())


@pytest.mark.parametrize(
    "values, point",
    [
        ([-1, -1, 2], 2),
        ([-1, 2, -1, 3, 4], 3),
        ([1, 2, 3], 0),
        ([1, 2, -3], None),
        ([1, 0, 1], 2),
        ([-1, 1, 0], None),
    ],
)
def test_the_answer_overtakes_where_it_is_above_for_good(values, point):
    found = lens(values, values)
    assert found.overtakes(0) == found.overtakes(1) == point


def test_the_table_names_each_points_stream():
    found = lens([-2, -1, 0, 1, 2], [1, 2, 3, 4, 5])
    table = found.to_frame()
    assert list(table.columns) == ["model", "layer", "stream", "logit_answer", "logit_original", "logit_diff"]
    assert not table.duplicated(["model", "layer", "stream"]).any()
    assert table["layer"].isna().sum() == 2 and set(table["model"]) == set(MODELS)
    row = table[(table["model"] == "instruct") & (table["layer"] == 1) & (table["stream"] == "resid_mid")]
    assert row["logit_diff"].tolist() == [4.0] and row["logit_answer"].tolist() == [5.0]
    assert found.names == [
        "before layer 0",
        "within layer 0, after its attention",
        "before layer 1",
        "within layer 1, after its attention",
        "after the last layer",
    ]
