"""Quantized weights, by a stand-in for the layers of bitsandbytes, which needs a GPU: what reads them dequantizes."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from core.attention import attend
from core.attribution import attribute
from core.experiment import InputError
from core.head.report import weight_change
from core.models import quantized
from core.models.loading import find_checkpoints, load_pair
from core.models.pairs import read_pairs, registry
from core.models.quantized import check_quantizable, head_weights
from core.models.room import bytes_needed
from core.patching.sweeps import sweep
from core.recording import record

NAMES = ("W_Q", "W_K", "W_V", "W_O")


class Int8Params(torch.nn.Parameter):
    """As bitsandbytes': whole numbers, with a scale for each output beside them."""


class Linear8bit(torch.nn.Module):
    def __init__(self, layer: torch.nn.Linear):
        super().__init__()
        scale = layer.weight.detach().abs().amax(1) / 127
        packed = (layer.weight.detach() / scale[:, None]).round().to(torch.int8)
        self.weight = Int8Params(packed, requires_grad=False)
        self.state, self.bias = SimpleNamespace(SCB=scale), layer.bias
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def forward(self, x):
        return torch.nn.functional.linear(x, dequantized(self.weight, self.state.SCB), self.bias)


def dequantized(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return weight.data * scale[:, None]


@pytest.fixture(autouse=True)
def bitsandbytes(monkeypatch):
    functional = SimpleNamespace(int8_vectorwise_dequant=dequantized)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(functional=functional))


@pytest.fixture
def bridges(booted):
    """BASE and INSTRUCT, every linear layer of their attention packed."""
    both = tuple(booted("llama", model) for model in ("base", "instruct"))
    for bridge in both:
        for block in bridge.blocks:
            for name in "qkvo":
                layer = getattr(block.attn, name)
                layer.set_original_component(Linear8bit(layer.original_component))
    return both


def test_a_heads_matrices_are_those_that_its_layers_apply(bridges, booted):
    plain = booted("llama", "base").blocks[1].attn
    for name in NAMES:
        found, exact = head_weights(bridges[0].blocks[1].attn, name), getattr(plain, name)
        assert found.shape == exact.shape and found.dtype == exact.dtype
        assert 0 < (found - exact).abs().max() <= exact.abs().max() / 127
        assert head_weights(plain, name) is not None and torch.equal(head_weights(plain, name), exact)


def test_the_identities_hold_for_quantized_weights(bridges, pair_of):
    pair = pair_of("llama")
    recordings = tuple(record(bridge, pair.prompt.ids) for bridge in bridges)
    for check in (*attribute(recordings, pair.prompt).checks, *attend(recordings, pair.prompt).checks):
        assert check.residual <= 1e-4, check.name
    moved = weight_change(bridges, 1)
    assert all((change > 0).all() and (change < 1).all() for change in (moved.q, moved.k, moved.v, moved.o))
    # A head's own output taken out and put in again through its W_O.
    itself = sweep((recordings[0], recordings[0]), pair.prompt, "result", "instruct_to_base", "all")
    assert abs(itself.effect).max() <= 1e-4


def quantized_pair(tmp_path, **other):
    entry = {"id": "q", "base": registry()["tiny"].base, "instruct": registry()["tiny"].instruct, **other}
    lines = "".join(f"{key} = {value!r}\n" for key, value in entry.items())
    (tmp_path / "pairs.toml").write_text(f"[[pair]]\n{lines}")
    return read_pairs(tmp_path / "pairs.toml")["q"]


def test_quantization_is_refused_where_it_cannot_be_had(tmp_path, monkeypatch):
    spec = quantized_pair(tmp_path, quantization="4bit")
    for ask in (lambda: load_pair(spec, device="cpu"), lambda: find_checkpoints(spec)):
        with pytest.raises(InputError, match="4bit, which runs on CUDA only"):
            ask()
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        check_quantizable("a pair", "8bit", "cuda:0")
    check_quantizable("a pair", "", "cpu")


def test_an_unknown_quantization_is_refused(tmp_path):
    with pytest.raises(InputError, match="quantization '2bit' is not one of 8bit, 4bit"):
        quantized_pair(tmp_path, quantization="2bit")


def test_quantized_weights_need_less_memory_embeddings_as_much():
    spec = registry()["llama-3.1-8b"]
    linear = spec.shape.parameters - 2 * spec.shape.vocab * spec.shape.d_model
    whole = spec.bytes_needed("bfloat16")
    assert whole - replace(spec, quantization="8bit").bytes_needed("bfloat16") == 2 * linear
    assert whole - replace(spec, quantization="4bit").bytes_needed("bfloat16") == 2 * 1.5 * linear
    checkpoints = find_checkpoints(registry()["tiny"])
    saved = bytes_needed(checkpoints, "float32") - bytes_needed(checkpoints, "float32", "8bit")
    assert saved == 3 * sum(checkpoint.parameters - checkpoint.embedding for checkpoint in checkpoints) > 0
