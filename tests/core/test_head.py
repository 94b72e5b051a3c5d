"""One head: its OV circuit, its weights' change, and its scores on repeated tokens."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers
from transformer_lens import head_detector

from core.attention import attend
from core.experiment import InputError
from core.head.ov_circuit import ov_circuit, token_embedding
from core.head.report import examine, weight_change
from core.head.scores import pattern_scores, repeated_tokens, score_heads
from core.head.sentence import head_sentence
from core.prompt import tokenize
from core.recording import record
from tests.random_models import CASE_NAMES, CASES, SIZES, boot
from tests.random_pair import EXPERIMENT, random_pair
from tests.random_tokenizers import VOCAB, byte_level

LAYER, HEAD, SOURCE = 1, 3, 6


@pytest.fixture(scope="module", params=CASES, ids=CASE_NAMES)
def pair(request, tmp_path_factory):
    return random_pair(*request.param, tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return random_pair("llama", 2, tmp_path_factory.mktemp("llama"))


# Every family.


def test_a_report_repeats_the_attention_analysis(pair):
    report = examine(pair.recordings, pair.prompt, LAYER, HEAD, SOURCE)
    attention = attend(pair.recordings, pair.prompt)
    for name in ("weight", "value_weighted", "written"):
        np.testing.assert_array_equal(getattr(report, name), getattr(attention, name)[:, LAYER, HEAD])
    np.testing.assert_array_equal(report.pattern[:, -1], report.weight)
    np.testing.assert_allclose(report.dla, attention.dla[:, LAYER, HEAD], atol=1e-7)


def test_the_recorded_ov_circuit_writes_what_attention_says_is_written(pair):
    report = examine(pair.recordings, pair.prompt, LAYER, HEAD, SOURCE)
    np.testing.assert_allclose(report.weight * report.ov.difference, report.written, atol=1e-5)
    assert len(report.checks) == 4 and all(check.residual <= 1e-5 for check in report.checks)


def test_the_effective_embedding_is_a_run_without_attention(pair):
    """Each token alone through block 0 with its attention's output removed, as hooks on the whole model give it."""
    found = {}

    def remove(attention_out, hook):
        return torch.zeros_like(attention_out)

    def keep(residual, hook):
        found["residual"] = residual[:, 0]

    recording = pair.recordings[1]
    hooks = [("blocks.0.hook_attn_out", remove), ("blocks.1.hook_resid_pre", keep)]
    with torch.no_grad():
        recording.bridge.run_with_hooks(torch.tensor(pair.prompt.ids)[:, None], return_type=None, fwd_hooks=hooks)
        effective = token_embedding(recording, first_mlp=True)
    torch.testing.assert_close(effective, found["residual"], atol=1e-5, rtol=1e-5)


def test_the_context_free_circuit_of_layer_0_is_the_recorded_one_without_its_bias(pair):
    """What layer 0 reads is the embedding, so both inputs must agree where values have no bias."""
    embedding, effective, recorded = (
        ov_circuit(pair.recordings, pair.prompt, 0, HEAD, SOURCE, ov_input)
        for ov_input in ("embedding", "effective", "recorded")
    )
    np.testing.assert_array_equal(embedding.own, effective.own)
    has_bias = pair.bridges[0].blocks[0].attn.b_V is not None
    assert np.allclose(embedding.own, recorded.own, atol=1e-5) != has_bias


def test_weights_that_did_not_move_have_no_change_and_doubled_ones_a_change_of_one(pair):
    base = pair.bridges[0]
    same = weight_change((base, base), LAYER)
    assert all(not values.any() for values in (same.q, same.k, same.v, same.o))
    groups = base.cfg.n_key_value_heads or base.cfg.n_heads
    assert (len(same.q), len(same.k), len(same.v), len(same.o)) == (4, groups, groups, 4)
    change = weight_change(pair.bridges, LAYER)
    # Weights of standard deviation 0.2 moved by 0.05.
    assert all(np.allclose(values, 0.25, atol=0.05) for values in (change.q, change.k, change.v, change.o))


def test_the_change_is_relative_to_the_base_weights(llama):
    base, instruct = (model.model.layers[LAYER].self_attn for model in llama.models)
    change = weight_change(llama.bridges, LAYER)
    rows, group = slice(12 * HEAD, 12 * HEAD + 12), slice(12, 24)
    for found, name, part in (
        (change.q[HEAD], "q_proj", (rows,)),
        (change.k[1], "k_proj", (group,)),
        (change.v[1], "v_proj", (group,)),
        (change.o[HEAD], "o_proj", (slice(None), rows)),
    ):
        a, b = (getattr(attention, name).weight.detach()[part] for attention in (base, instruct))
        assert found == pytest.approx(float((b - a).norm() / a.norm()), rel=1e-5)


def test_scores_agree_with_the_head_detectors_of_transformer_lens(pair):
    """Theirs divide by all rows and count BOS as a previous token: the same sums once that is undone."""
    bridge = pair.bridges[1]
    scores = score_heads(pair.bridges, sequences=1, length=9)
    ids, has_bos = repeated_tokens(pair.bridges[0], 1, 9, 0)
    assert has_bos and scores.length == 9
    tokens = torch.tensor(ids)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    pattern = cache[f"blocks.{LAYER}.attn.hook_pattern"][0, HEAD]
    options = dict(exclude_bos=False, exclude_current_token=False, error_measure="mul")
    rows = ids.shape[1]
    wanted = head_detector.get_induction_head_detection_pattern(tokens)
    induction = head_detector.compute_head_attention_similarity_score(pattern, wanted, **options) * rows / 9
    wanted = head_detector.get_previous_token_head_detection_pattern(tokens)
    previous = head_detector.compute_head_attention_similarity_score(pattern, wanted, **options) * rows
    found = scores.of(LAYER, HEAD)
    assert found["induction"][1] == pytest.approx(induction, abs=1e-6)
    assert found["previous"][1] == pytest.approx((previous - float(pattern[1, 0])) / (rows - 2), abs=1e-6)
    assert found["bos"][1] == pytest.approx(float(pattern[1:, 0].mean()), abs=1e-6)


# The OV circuit against the weights.


@pytest.mark.parametrize("ov_input", ["recorded", "embedding", "effective"])
def test_ov_tables_are_those_of_the_weights(llama, ov_input):
    """By hand in float64 from transformers' modules, where head 3 of 4 reads KV group 1 of 2."""
    circuit = ov_circuit(llama.recordings, llama.prompt, LAYER, HEAD, SOURCE, ov_input, top=5)
    ids = torch.tensor(llama.prompt.ids)
    for m, model in enumerate(llama.models):
        block = model.model.layers[LAYER]
        with torch.no_grad():
            states = model.model(ids[None], output_hidden_states=True).hidden_states
            x = model.model.embed_tokens(ids)
            if ov_input == "effective":
                first = model.model.layers[0]
                x = x + first.mlp(first.post_attention_layernorm(x))
            elif ov_input == "recorded":
                x = states[LAYER][0]
            v = block.input_layernorm(x) @ block.self_attn.v_proj.weight[12:24].T
            out = v @ block.self_attn.o_proj.weight[:, 36:48].T
            final = []
            hook = model.model.norm.register_forward_pre_hook(lambda module, args: final.append(args[0]))
            model(ids[None])
            hook.remove()
            scale = (final[0][0, -1].pow(2).mean() + model.config.rms_norm_eps).rsqrt()
            logits = (out * scale * model.model.norm.weight) @ model.lm_head.weight.T
        logits = logits.numpy()
        centred = logits - logits.mean(-1, keepdims=True)
        order = np.argsort(-logits[SOURCE])
        assert circuit.promoted[m].ids == tuple(order[:5])
        assert circuit.suppressed[m].ids == tuple(order[::-1][:5])
        np.testing.assert_allclose(circuit.promoted[m].value, centred[SOURCE, order[:5]], atol=1e-5)
        np.testing.assert_allclose(circuit.suppressed[m].value, centred[SOURCE, order[::-1][:5]], atol=1e-5)
        own = logits[np.arange(len(ids)), llama.prompt.ids]
        np.testing.assert_allclose(circuit.own[m], own - logits.mean(-1), atol=1e-5)
        np.testing.assert_array_equal(circuit.above[m], (logits > own[:, None]).sum(-1))
        np.testing.assert_array_equal(circuit.below[m], (logits < own[:, None]).sum(-1))
        wanted = logits[:, llama.prompt.answer_id] - logits[:, llama.prompt.original_id]
        np.testing.assert_allclose(circuit.difference[m], wanted, atol=1e-5)


@pytest.mark.parametrize("vocab_slice", [1, 7, 100, VOCAB])
def test_slicing_the_vocabulary_changes_no_table(llama, vocab_slice):
    arguments = (llama.recordings, llama.prompt, LAYER, HEAD, SOURCE, "recorded", 9)
    whole, sliced = ov_circuit(*arguments), ov_circuit(*arguments, vocab_slice=vocab_slice)
    for side in ("promoted", "suppressed"):
        for a, b in zip(getattr(whole, side), getattr(sliced, side)):
            assert (a.ids, a.strings) == (b.ids, b.strings)
            np.testing.assert_allclose(a.value, b.value, atol=1e-6)
    np.testing.assert_allclose(whole.own, sliced.own, atol=1e-6)
    for name in ("above", "below"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(sliced, name))


@pytest.mark.parametrize(
    ("layer", "head", "position", "field"), [(2, 0, 0, "layer"), (0, -1, 0, "head"), (0, 0, 99, "position")]
)
def test_a_head_that_does_not_exist_is_refused_by_name(llama, layer, head, position, field):
    with pytest.raises(InputError, match="does not exist") as error:
        examine(llama.recordings, llama.prompt, layer, head, position)
    assert error.value.field == field


# Heads known by construction.


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Two layers over one-hot embeddings: L1H0 copies (W_V W_O = 1), L1H1 suppresses (−1), L1H2 writes nothing.

    In INSTRUCT the signs of L1H0 and L1H1 are flipped. All else is zero, so attention is uniform.
    """
    sizes = SIZES | dict(hidden_size=VOCAB, head_dim=VOCAB, num_attention_heads=3, num_key_value_heads=1)
    base = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, tie_word_embeddings=False)).eval()
    with torch.no_grad():
        for name, weight in base.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        base.model.embed_tokens.weight.copy_(torch.eye(VOCAB))
        base.lm_head.weight.copy_(torch.eye(VOCAB))
        attention = base.model.layers[1].self_attn
        attention.v_proj.weight.copy_(torch.eye(VOCAB))
        attention.o_proj.weight[:, :VOCAB] = torch.eye(VOCAB)
        attention.o_proj.weight[:, VOCAB : 2 * VOCAB] = -torch.eye(VOCAB)
    instruct = copy.deepcopy(base)
    with torch.no_grad():
        instruct.model.layers[1].self_attn.o_proj.weight.neg_()
    tokenizer, folder = byte_level(), tmp_path_factory.mktemp("known")
    prompt, recordings = tokenize(EXPERIMENT, tokenizer), []
    for name, model in (("base", base), ("instruct", instruct)):
        model.save_pretrained(folder / name)
        recordings.append(record(boot(folder / name, tokenizer), prompt.ids))
    return tuple(recordings), prompt


@pytest.mark.parametrize("ov_input", ["recorded", "embedding", "effective"])
def test_known_heads_are_classified_and_their_flipped_selves_the_other_way(known, ov_input):
    recordings, prompt = known
    source = prompt.roles["original"]
    copying, suppressing, idle = (ov_circuit(recordings, prompt, 1, h, source, ov_input) for h in range(3))
    assert copying.kinds() == ("copying", "suppressing")
    assert suppressing.kinds() == ("suppressing", "copying")
    assert idle.kinds() == ("neither", "neither")
    assert list(copying.own_rank) == [0, VOCAB - 1]
    assert copying.promoted[0].ids[0] == suppressing.suppressed[0].ids[0] == prompt.original_id
    assert copying.promoted[0].strings[0] == prompt.original
    positions = len(prompt.ids) - 1
    assert list(copying.counts()["copying"]) == [positions, 0]
    assert list(copying.counts()["suppressing"]) == [0, positions]


def test_a_copied_original_speaks_against_the_answer_and_a_suppressed_one_for_it(known):
    """Uniform attention over n tokens; the embedding normed is √V at its token; s from the recorded residual."""
    recordings, prompt = known
    source, n = prompt.roles["original"], len(prompt.ids)
    report = examine(recordings, prompt, 1, 0, source)
    scale = [float(r.final_residual[-1].pow(2).mean().add(1e-6).rsqrt()) for r in recordings]
    value = 1 / np.sqrt(1 / VOCAB + 1e-6)
    np.testing.assert_allclose(report.written[:, source], [-value * scale[0] / n, value * scale[1] / n], rtol=1e-5)
    assert report.group == 0 and report.group_heads == (0, 1, 2)
    # W_O flipped its sign, a change of twice its length; nothing else moved, and what is zero has no relative change.
    np.testing.assert_allclose(report.weights.o, [2, 2, np.nan])
    assert report.weights.v.tolist() == [0.0] and np.isnan(report.weights.q).all()
    sentence = head_sentence(report, source)
    assert f"promotes “quick” itself in BASE and suppresses “quick” itself in INSTRUCT (rank 1 → {VOCAB}" in sentence


# Scores of patterns made by hand.


def shifted(length: int, has_bos: bool, back: int) -> torch.Tensor:
    """A head that looks `back` positions back, and at position 0 before there are so many."""
    positions = 2 * length + has_bos
    query = torch.arange(positions)
    pattern = torch.zeros(positions, positions)
    pattern[query, (query - back).clamp(min=0)] = 1
    return pattern


@pytest.mark.parametrize("has_bos", [True, False])
def test_perfect_heads_score_one_and_are_told_apart(has_bos):
    length = 8
    made = [shifted(length, has_bos, back) for back in (1, length - 1, 1000)]
    scores = pattern_scores(torch.stack(made).expand(3, -1, -1, -1), length, has_bos)
    previous, induction, bos = scores.T.numpy()
    # The first head sees position 0 from position 1 alone.
    queries = 2 * length + has_bos - 1
    np.testing.assert_allclose(previous, [1, 0, 1 / queries], atol=1e-6)
    np.testing.assert_allclose(induction[:2], [0, 1], atol=1e-6)
    np.testing.assert_allclose(bos, [0, 0, 1], atol=1e-6)


def test_the_sequences_repeat_are_the_same_every_time_and_hold_no_special_token(llama):
    bridge = llama.bridges[0]
    ids, has_bos = repeated_tokens(bridge, 3, 20, seed=0)
    assert has_bos and ids.shape == (3, 41) and (ids[:, 0] == bridge.tokenizer.bos_token_id).all()
    np.testing.assert_array_equal(ids[:, 1:21], ids[:, 21:])
    assert all(len(set(row[1:21])) == 20 for row in ids)
    assert not set(ids[:, 1:].ravel()) & set(bridge.tokenizer.all_special_ids)
    np.testing.assert_array_equal(ids, repeated_tokens(bridge, 3, 20, seed=0)[0])
    assert (ids != repeated_tokens(bridge, 3, 20, seed=1)[0]).any()
    assert repeated_tokens(bridge, 1, 100_000, seed=0)[0].shape[1] <= bridge.cfg.n_ctx
