"""Linear layers through another library: equal numbers up to rounding, within the block, and nothing else changed."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from core import linear
from core.linear import fast_linears, frozen_linears, times
from core.patching.sweeps import sweep
from core.recording import record

needs_both = pytest.mark.skipif(not linear._available(), reason="this torch has not both libraries")


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(linear, "_LARGE", 0)


def products(work) -> set[str]:
    """The names of the matrix products that torch ran, its own and oneDNN's."""
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    names = {event.key for event in profiled.key_averages()}
    return {name for name in names if name in ("aten::linear", "mkldnn::_linear_pointwise")}


class Own(nn.Linear):
    """A layer that may hold its weights in a form of its own."""


@needs_both
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 24), (3, 5, 24), (1, 1, 24)])
def test_a_layer_gives_the_same_up_to_rounding(bias, shape):
    torch.manual_seed(0)
    layer, x = nn.Linear(24, 40, bias), torch.randn(shape)
    with torch.no_grad():
        expected = layer(x)
        with fast_linears(layer):
            assert products(lambda: layer(x)) == {"mkldnn::_linear_pointwise"}
            found = layer(x)
            # A view with its axes exchanged, as of attention's heads.
            turned = layer(x.transpose(0, -2))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(turned.transpose(0, -2), expected, rtol=1e-5, atol=1e-6)


@needs_both
def test_a_small_product_stays_where_it_is_and_a_large_one_of_the_same_layer_does_not(monkeypatch):
    monkeypatch.undo()
    layer = nn.Linear(128, 256)
    with fast_linears(layer):
        assert products(lambda: layer(torch.randn(2, 11, 128))) == {"aten::linear"}
        assert products(lambda: layer(torch.randn(2, 100, 128))) == {"mkldnn::_linear_pointwise"}


@needs_both
def test_a_product_with_a_matrix_of_rows_is_the_plain_one_up_to_rounding():
    torch.manual_seed(0)
    x, rows = torch.randn(5, 24), torch.randn(40, 24)
    assert products(lambda: times(x, rows[8:])) == {"mkldnn::_linear_pointwise"}
    for given in (rows, rows[8:], rows[:, ::2].repeat(1, 2), rows.T.contiguous().T):
        torch.testing.assert_close(times(x, given), x @ given.T, rtol=1e-5, atol=1e-5)
    for dtype in (torch.float64, torch.bfloat16):
        torch.testing.assert_close(times(x.to(dtype), rows.to(dtype)), x.to(dtype) @ rows.to(dtype).T)


@needs_both
def test_other_dtypes_and_kinds_of_layer_stay_as_they_are():
    layers = nn.ModuleList([Own(8, 8), nn.Linear(8, 8).double(), nn.Linear(8, 8).bfloat16()])
    with fast_linears(layers):
        for layer in layers:
            x = torch.randn(2, 8).to(layer.weight.dtype)
            assert products(lambda: layer(x)) == {"aten::linear"}


@needs_both
def test_the_layers_are_their_own_again_after_an_error_and_after_a_block_within_a_block():
    layer = nn.Linear(8, 8)
    with pytest.raises(KeyError), fast_linears(layer):
        with fast_linears(layer):
            pass
        assert "forward" in vars(layer)
        raise KeyError
    assert "forward" not in vars(layer)


@needs_both
def test_a_recording_and_a_sweep_multiply_through_it(pair_of):
    pair = pair_of()
    for work in (lambda: record(pair.bridges[0], pair.prompt.ids), lambda: sweep(pair.recordings, pair.prompt)):
        assert products(work) == {"mkldnn::_linear_pointwise"}


def test_without_one_of_the_libraries_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    layer = nn.Linear(8, 8)
    with fast_linears(layer):
        assert "forward" not in vars(layer)


@needs_both
def test_gradients_pass_through_layers_that_are_not_trained():
    torch.manual_seed(0)
    frozen, trained = nn.Linear(24, 40, bias=False).requires_grad_(False), nn.Linear(8, 24, bias=False)
    layers, x = nn.Sequential(trained, frozen), torch.randn(3, 5, 8, requires_grad=True)
    weights = torch.randn(3, 5, 40)
    expected = torch.autograd.grad((layers(x) * weights).sum(), [x, trained.weight])
    with frozen_linears(layers):
        assert "forward" in vars(frozen) and "forward" not in vars(trained)
        found = torch.autograd.grad((layers(x) * weights).sum(), [x, trained.weight])
    assert "forward" not in vars(frozen)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_copy_of_a_model_multiplies_with_weights_of_its_own():
    model, x = nn.Sequential(nn.Linear(8, 8)), torch.ones(2, 8)
    with fast_linears(model):
        model(x)
    copy = deepcopy(model)
    with torch.no_grad(), fast_linears(copy):
        copy[0].weight.zero_()
        assert torch.equal(copy(x), copy[0].bias.expand(2, 8))
