"""Path patching: one sender's change in one receiver's q, k or v, against plain forwards and as parts of a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.experiment import InputError
from core.patching import sent
from core.patching.budget import Budget
from core.patching.direct import direct_effects
from core.patching.growing_pass import shape_of
from core.patching.path_results import PARTS
from core.patching.paths import path_row, paths
from core.patching.plan import CARRIED, DIRECTIONS, OWN, Patch, Shape, as_activations, jitter
from core.patching.senders import Sender, sender_of, senders
from core.patching.sources import Sources
from core.patching.sweeps import gap_of, run_plan
from core.readout import readout
from tests import random_models
from tests.random_models import FAMILIES, POST_NORM
from tests.random_pair import RandomPair, random_pair

# Transformers compute norms and soft caps in float32 whatever the dtype.
EXACT = dict(rtol=0, atol=2e-5)
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """family → a random pair of three layers in float64, so that attention lies between sender and receiver."""
    made: dict[str, RandomPair] = {}

    def make(family: str) -> RandomPair:
        if family not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(random_models.SIZES, "num_hidden_layers", 3)
                groups = 4 if family == "neox" else 2
                made[family] = random_pair(family, groups, tmp_path_factory.mktemp(family), torch.float64)
        return made[family]

    return make


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A pair whose norms are linear: an epsilon that drowns the mean square, and weights that undo it."""
    made = random_models.random_model

    def without_norms(family, groups):
        model = made(family, groups)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "norm" in name:
                    weight.fill_(1e6)
        return model

    def tuned(model, *how):
        other = random_models.fine_tuned(model, *how)
        with torch.no_grad():
            for name, weight in other.named_parameters():
                if "norm" in name:
                    weight.fill_(1e6)
        return other

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("num_hidden_layers", 3), ("rms_norm_eps", 1e12)):
            patch.setitem(random_models.SIZES, name, value)
        patch.setattr("tests.random_pair.random_model", without_norms)
        patch.setattr("tests.random_pair.fine_tuned", tuned)
        return random_pair("llama", 2, tmp_path_factory.mktemp("linear"), torch.float64)


def logit_diffs(pair, rows, direction="instruct_to_base", **how) -> np.ndarray:
    return run_plan(pair.recordings, pair.prompt, rows, direction, lambda gap, values, measures: values, **how)


def ordered(pair, direction):
    return pair.recordings if direction == "instruct_to_base" else pair.recordings[::-1]


def run_hooked(recording, *hooks):
    """A plain forward of one row with hooks: (point, activation → what takes its place, or None)."""
    given = [(point, lambda x, hook, act=act: act(x)) for point, act in hooks]
    with torch.no_grad():
        recording.bridge.run_with_hooks(torch.tensor([recording.ids]), return_type=None, fwd_hooks=given)


def change_by_hand(recipient, donor, sender) -> torch.Tensor:
    if sender.kind != "head":
        name = {"embed": "blocks.0.hook_resid_pre", "attn": f"blocks.{sender.layer}.hook_attn_out"}
        name = name.get(sender.kind, f"blocks.{sender.layer}.hook_mlp_out")
        return donor.activations[name] - recipient.activations[name]
    z = [recording.layer(sender.layer, "attn.hook_z")[:, sender.head] for recording in (donor, recipient)]
    block = recipient.bridge.blocks[sender.layer]
    size = z[0].shape[-1]
    columns = block.attn.o.original_component.weight[:, sender.head * size : (sender.head + 1) * size]
    delta = (z[0] - z[1]) @ columns.T
    if hasattr(block, "ln1_post"):
        norm, scale = block.ln1_post.original_component, recipient.layer(sender.layer, "ln1_post.hook_scale")
        delta = delta / scale * (norm.weight + ("Gemma" in type(norm).__name__))
    return delta.detach()[None]


def by_hand(pair, recipient, donor, sender, receiver, part, alone) -> float:
    """Three plain forwards: q, k, v of a changed input; z of them; the recipient with the receiver's z alone."""
    layer, head = receiver
    shape = shape_of(recipient)
    moved = [head] if part == "q" or alone else list(shape.heads_of(shape.group_of(head)))
    at, taken, z, final = f"blocks.{layer}.", [], [], []
    run_hooked(
        recipient,
        (f"{at}hook_resid_pre", lambda x: x + change_by_hand(recipient, donor, sender)),
        (f"{at}attn.hook_{part}", lambda x: taken.append(x.clone())),
    )
    run_hooked(
        recipient,
        (f"{at}attn.hook_{part}", lambda x: taken[0]),
        (f"{at}attn.hook_z", lambda x: z.append(x.clone())),
    )

    def write(x):
        x = x.clone()
        x[:, :, moved] = z[0][:, :, moved]
        return x

    run_hooked(recipient, (f"{at}attn.hook_z", write), ("ln_final.hook_in", lambda x: final.append(x[0, -1])))
    return float(readout(recipient.bridge).logit_diff(final[0], pair.prompt.answer_id, pair.prompt.original_id))


@every_family
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("alone", [True, False], ids=["head-alone", "group"])
def test_a_path_equals_plain_forwards_with_one_input_changed(deep, family, direction, alone):
    pair = deep(family)
    recipient, donor = ordered(pair, direction)
    receiver = (2, 1)
    found = paths(pair.recordings, pair.prompt, *receiver, direction, alone)
    assert found.complete and np.abs(found.effect).max() > 1e-3
    tried = [Sender("embed"), Sender("head", 0, 3), Sender("attn", 0), Sender("mlp", 0), Sender("head", 1, 2)]
    for n, part in enumerate(PARTS):
        for sender in tried:
            expected = by_hand(pair, recipient, donor, sender, receiver, part, alone)
            value = found.logit_diff[n, found.senders.index(sender)]
            np.testing.assert_allclose(value, expected, **EXACT, err_msg=f"{sender.name} → {part}")


@every_family
def test_embedding_attentions_and_mlps_together_are_the_whole_difference_of_the_streams(deep, family, monkeypatch):
    """So all of them at once give the receiver W·norm(x_donor), which is what the recipient's weights make of it."""
    pair = deep(family)
    recipient, donor = pair.recordings
    shape, layer = shape_of(recipient), 2
    found = [sender for sender in senders(layer, shape) if sender.kind != "head"]
    total = sum(sent.change(recipient, donor, sender) for sender in found)
    torch.testing.assert_close(total, donor.layer(layer, "hook_resid_pre") - recipient.layer(layer, "hook_resid_pre"))
    row = path_row(Sender("embed"), (layer, 2), "k", shape)
    carried = tuple(Patch(layer, "k", patch.heads, source=CARRIED) if patch.source != OWN else patch for patch in row)
    expected = logit_diffs(pair, [carried])
    monkeypatch.setattr(sent, "change", lambda *given: total)
    np.testing.assert_allclose(logit_diffs(pair, [row]), expected, **EXACT)
    sources = Sources(recipient, donor)
    for name in ("attn.hook_q", "attn.hook_k", "attn.hook_v"):
        mine = sources.of(found[0].source).layer(layer, name)
        torch.testing.assert_close(mine, sources.carried.layer(layer, name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in (*POST_NORM, "neox")])
def test_heads_add_up_to_their_attention_where_the_models_share_its_output_weights(deep, family):
    """A norm behind attention has a scale of its own in each model; so have biases."""
    pair = deep(family)
    base, _ = pair.recordings
    shifted = {name: x + 0.1 * torch.randn_like(x) for name, x in base.activations.items() if name.endswith("hook_z")}
    for name, z in shifted.copy().items():
        layer = int(name.split(".")[1])
        written = base.bridge.blocks[layer].attn.o.original_component(z.flatten(-2)).detach()
        shifted[f"blocks.{layer}.hook_attn_out"] = written
    donor = type(base)(base.bridge, base.ids, base.activations | shifted)
    shape = shape_of(base)
    for layer in range(2):
        heads = sum(sent.change(base, donor, Sender("head", layer, head)) for head in range(shape.heads))
        torch.testing.assert_close(heads, sent.change(base, donor, Sender("attn", layer)))


def total_row(sender: Sender, shape) -> tuple[Patch, ...]:
    """The sender patched as a whole, every MLP behind it held."""
    patches = {
        "embed": Patch(0, "resid_pre"),
        "head": Patch(sender.layer, "z", (sender.head,)),
        "mlp": Patch(sender.layer, "mlp_out"),
    }
    first = sender.layer + (sender.kind == "mlp")
    return (patches[sender.kind], *held(first, shape))


def direct(pair, sender: Sender, direction) -> float:
    """The path into the logits alone."""
    if sender.kind != "embed":
        site = {"head": "z", "mlp": "mlp_out"}[sender.kind]
        return direct_effects(pair.recordings, pair.prompt, site, direction).recomputed[sender.layer, sender.head]
    recipient, donor = ordered(pair, direction)
    ends = recipient.final_residual[-1] + torch.stack([torch.zeros(32), sent.change(recipient, donor, sender)[-1]])
    own, moved = readout(recipient.bridge).logit_diff(ends, pair.prompt.answer_id, pair.prompt.original_id)
    return float(moved - own)


def held(first: int, shape) -> list[Patch]:
    return [Patch(layer, "mlp_out", source=OWN) for layer in range(first, shape.layers)]


@pytest.mark.parametrize("sender", [Sender("embed"), Sender("head", 0, 2), Sender("mlp", 0), Sender("head", 1, 1)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_without_norms_a_sender_is_its_direct_path_and_those_to_every_receivers_values(linear, sender, direction):
    """With patterns and MLPs frozen the model is linear: each path counts once, by the first head it passes."""
    shape, gap = shape_of(linear.recordings[0]), gap_of(linear.recordings, linear.prompt, direction)
    frozen = dict(frozen_patterns=True)
    total = logit_diffs(linear, [total_row(sender, shape)], direction, **frozen)[0] - gap.recipient
    first = 0 if sender.kind == "embed" else sender.layer + 1
    receivers = [(layer, head) for layer in range(first, shape.layers) for head in range(shape.heads)]
    rows = [path_row(sender, (n, h), "v", shape) + tuple(held(n, shape)) for n, h in receivers]
    indirect = logit_diffs(linear, rows, direction, **frozen) - gap.recipient
    own = direct(linear, sender, direction)
    assert abs(total - own) > 1e-3 and np.abs(indirect).max() > 1e-3
    np.testing.assert_allclose(own + indirect.sum(), total, rtol=0, atol=1e-5 * max(1, abs(total)))


def test_with_frozen_patterns_and_mlps_effects_of_sets_are_sums(linear):
    """Of MLPs and of outputs of one layer: none of them overwrites what another has changed."""
    shape, gap = shape_of(linear.recordings[0]), gap_of(linear.recordings, linear.prompt, "instruct_to_base")

    def effects(*rows, **how):
        whole = [
            (*row, *(own for own in held(0, shape) if own.layer not in {p.layer for p in row if p.site == "mlp_out"}))
            for row in rows
        ]
        return logit_diffs(linear, whole, **how) - gap.recipient

    for one, other in (
        (Patch(0, "mlp_out"), Patch(1, "mlp_out")),
        (Patch(1, "z", (0,)), Patch(1, "z", (3,))),
    ):
        found = effects((one,), (other,), (one, other), frozen_patterns=True)
        assert np.abs(found).min() > 1e-4
        np.testing.assert_allclose(found[0] + found[1], found[2], rtol=0, atol=2e-6)
        free = effects((one,), (other,), (one, other))
        assert abs(free[0] + free[1] - free[2]) > 2e-5


@every_family
def test_between_a_model_and_itself_no_path_carries_anything(deep, family):
    base, _ = deep(family).recordings
    found = paths((base, base), deep(family).prompt, 2, 0)
    assert np.abs(found.effect).max() < 1e-6 and found.gap.no_op < 1e-6


def test_a_head_of_the_first_layer_hears_the_embedding_alone(deep):
    found = paths(deep("llama").recordings, deep("llama").prompt, 0, 3)
    assert [sender.name for sender in found.senders] == ["embedding"] and found.logit_diff.shape == (3, 1)


def test_the_floor_is_that_of_the_changed_input_and_not_of_what_is_held():
    row = path_row(Sender("mlp", 0), (2, 1), "q", shape_of_four())
    jittered = as_activations(row, jitter(3))
    assert {(patch.site, patch.source) for patch in jittered} == {("q", jitter(3)), ("z", OWN)}
    assert as_activations((Patch(0, "w_head", (1,), source=OWN),), jitter(0)) == (
        Patch(0, "z", (1,), source=jitter(0)),
    )


def shape_of_four():
    return Shape(layers=3, heads=4, groups=2, positions=5)


def test_the_queries_come_first_and_what_has_run_is_gone_on_with(deep):
    pair = deep("qwen2")
    seen, kept = [], []
    how = dict(progress=lambda done, total, partial: seen.append(partial), keep=kept.append)
    small = Budget(10**9, 6 * len(pair.prompt.ids))
    whole = paths(pair.recordings, pair.prompt, 2, 1, budget=small, **how)
    assert np.isfinite(seen[0].logit_diff[0]).any() and np.isnan(seen[0].logit_diff[1:]).all()
    again = paths(pair.recordings, pair.prompt, 2, 1, budget=small, begun=kept[1])
    np.testing.assert_array_equal(again.logit_diff, whole.logit_diff)


def test_senders_are_told_by_their_sources_and_nothing_else_is():
    for sender in senders(2, shape_of_four()):
        assert sender_of(sender.source) == sender
    assert sender_of("donor") is None and sender_of(jitter(1)) is None
    assert [s.name for s in senders(1, shape_of_four())] == [
        "embedding", "L0H0", "L0H1", "L0H2", "L0H3", "L0 attention", "L0 MLP",
    ]  # fmt: skip


def test_the_table_names_every_path_once_and_says_whose_input_it_is(deep):
    pair = deep("llama")
    found = paths(pair.recordings, pair.prompt, 2, 3, alone=False)
    frame = found.to_frame()
    assert len(frame) == 3 * 13 and not frame.duplicated(["part", "sender"]).any()
    assert frame.groupby("part")["of"].first().to_dict() == {"q": "L2H3", "k": "L2KV1", "v": "L2KV1"}
    row = frame[(frame["part"] == "v") & (frame["sender"] == "L1H2")].iloc[0]
    assert (row["layer"], row["head"]) == (1, 2)
    assert row["effect"] == found.by_kind("v", found.effect, "head")[1, 2]
    assert frame[frame["kind"] == "embed"]["layer"].isna().all()
    assert {"noise_floor", "score", "dlogp_answer", "kl_donor"} <= set(frame)
    by_size = found.strongest("v", 3)
    assert all(found.senders[n].kind != "attn" for n in by_size)
    assert np.abs(found.effect[2, by_size]).tolist() == sorted(np.abs(found.effect[2, by_size]).tolist())[::-1]


def test_a_head_that_is_not_there_is_refused(deep):
    pair = deep("llama")
    with pytest.raises(InputError, match="L0H0 to L2H3"):
        paths(pair.recordings, pair.prompt, 3, 0)
