"""What every patched row says of the whole distribution, against plain softmaxes of whole logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.head.patches import patch_head
from core.patching import measuring
from core.patching.greedy import greedy
from core.patching.measures import MEASURES, Measures
from core.patching.measuring import reader_of
from core.patching.plan import DIRECTIONS
from core.patching.results import Sweep
from core.patching.sweeps import gap_of, patch_pairs, patch_sets, position_map, sweep
from core.readout import capped, readout
from tests.random_models import CASE_NAMES, CASES

every_case = pytest.mark.parametrize("family, groups", CASES, ids=CASE_NAMES)


def log_p(recording, residual) -> np.ndarray:
    logits = capped(readout(recording.bridge).logits(residual), recording.bridge)
    return logits.log_softmax(-1).numpy()


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (np.exp(p) * (p - q)).sum(-1)


@every_case
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_rows_measures_are_those_of_its_whole_softmax(pair_of, monkeypatch, family, groups, direction):
    """Every measure of the recipient's own stream at each position, which stand in for patched rows."""
    monkeypatch.setattr(measuring, "_SLICE", 37)  # no divisor of the vocabulary
    pair = pair_of(family, groups, torch.float64)
    recipient, donor = pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]
    candidates = (pair.prompt.answer_id, pair.prompt.original_id)
    with torch.no_grad():
        found = reader_of(recipient, donor, candidates).measures(recipient.final_residual)
        rows, plain, target = (
            log_p(recipient, recipient.final_residual),
            log_p(recipient, recipient.final_residual[-1]),
            log_p(donor, donor.final_residual[-1]),
        )
    expected = Measures(
        *(rows[:, token] - plain[token] for token in candidates),
        *((rows > rows[:, [token]]).sum(-1) for token in candidates),
        divergence(plain, rows),
        divergence(target, rows),
    )
    for name in MEASURES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-9, err_msg=name)
    assert np.ptp(expected.kl_donor) > 0.01 and np.ptp(expected.rank_answer) > 0


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_own_stream_moves_nothing_and_the_donors_moves_towards_the_donor(pair_of, direction):
    """In the last layer the donor's stream still passes the recipient's readout: near, not at, the donor."""
    pair = pair_of()
    recipient, donor = pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]
    own = sweep((recipient, recipient), pair.prompt).measures
    for name in ("dlogp_answer", "dlogp_original", "kl_recipient", "kl_donor"):
        np.testing.assert_allclose(getattr(own, name), 0, atol=1e-5)
    found = sweep(pair.recordings, pair.prompt, "resid_pre", direction)
    plain = divergence(log_p(donor, donor.final_residual[-1]), log_p(recipient, recipient.final_residual[-1]))
    assert (found.measures.kl_donor[1] < 0.9 * plain).all() and (found.measures.kl_recipient > 1e-4).all()


def test_with_both_log_probabilities_the_logit_difference_is_told_again(pair_of):
    """Of a model without a soft cap: Δ log p(answer) − Δ log p(original) is the effect."""
    pair = pair_of()
    found = sweep(pair.recordings, pair.prompt)
    told = found.measure("dlogp_answer") - found.measure("dlogp_original")
    np.testing.assert_allclose(told, found.effect, rtol=0, atol=1e-5)


def test_every_kind_of_plan_carries_its_measures_cell_by_cell(pair_of):
    pair = pair_of()
    given = (pair.recordings, pair.prompt)
    single = sweep(*given)
    cells = [(0, 1), (1, 2)]
    sets, pairs = patch_sets(*given, [[cells[0]], cells, [cells[1]]]), patch_pairs(*given, cells)
    built, head = greedy(*given, 1, singles=single), patch_head(*given, 1, 2)
    at_end, grid = sweep(*given, "mlp_out", positions="end"), position_map(*given, "mlp_out")
    for name in MEASURES:
        of = single.measure(name)
        tolerance = dict(rtol=0, atol=1e-5)
        np.testing.assert_allclose(sets.measure(name)[[0, 2]], [of[cell] for cell in cells], **tolerance)
        np.testing.assert_allclose(np.diag(pairs.measure(name)), [of[cell] for cell in cells], **tolerance)
        np.testing.assert_allclose(pairs.measure(name)[0, 1], sets.measure(name)[1], **tolerance)
        np.testing.assert_allclose(built.measure(name), [of[member] for member in built.members], **tolerance)
        np.testing.assert_allclose(head.to_frame()[name][0], of[1, 2], **tolerance)
        np.testing.assert_allclose(grid.measure(name)[:, -1], at_end.measure(name)[:, 0], **tolerance)
        np.testing.assert_allclose(single.to_frame()[name], of.ravel())
        assert name in sets.to_frame() and name in pairs.to_frame() and name in built.to_frame()
    assert built.members


def test_what_has_not_run_or_was_never_measured_is_absent(pair_of):
    pair, seen = pair_of(), []
    sweep(pair.recordings, pair.prompt, progress=lambda done, total, partial: seen.append(partial))
    gap = gap_of(pair.recordings, pair.prompt, "instruct_to_base")
    bare = Sweep("z", "all", gap, np.zeros((2, 4)))
    assert bare.to_frame()[list(MEASURES)].isna().to_numpy().all()
    for partial in seen:
        assert (np.isfinite(partial.logit_diff) == np.isfinite(partial.measures.kl_donor)).all()


def test_the_floors_rows_are_read_for_their_logit_difference_alone(pair_of, monkeypatch):
    """What nobody looks at is not computed; rows that read the donor's unembedding are measured through it."""
    pair, read = pair_of(), []
    measures = measuring.Reader.measures
    monkeypatch.setattr(measuring.Reader, "measures", lambda self, x: read.append(len(x)) or measures(self, x))
    found = sweep(pair.recordings, pair.prompt)
    assert sum(read) == found.total and found.gap.floor.measured
    read.clear()
    ends = sweep(pair.recordings, pair.prompt, "w_final")
    assert sum(read) == 1 and np.isfinite(ends.measures.kl_donor).all()
