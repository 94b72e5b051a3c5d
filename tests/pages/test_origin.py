"""The page Origin, the app run without a browser: what was changed and what is only carried."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import AutoModelForCausalLM, AutoTokenizer

from pages.origin.sections import _furthest_of
from pages.shared import service
from tests.pages.app import opened, settled

TINY = Path(__file__).parents[2] / "core/tiny/base"


@pytest.fixture
def page(monkeypatch, forget):
    """parameters of the address → the page, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda **parameters: settled(opened("origin/page.py", **parameters))


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> str:
    """BASE of the tiny pair but for W_Q of L1H3 and L2H0, and W_V of a KV group of layer 0, changed by hand."""
    model, folder = AutoModelForCausalLM.from_pretrained(TINY), tmp_path_factory.mktemp("known")
    layers = [layer.self_attn for layer in model.model.layers]
    size = layers[0].head_dim
    with torch.no_grad():
        layers[1].q_proj.weight[3 * size : 4 * size] *= -1.5
        layers[2].q_proj.weight[:size] *= 3
        layers[0].v_proj.weight[:size] *= -1.7
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY).save_pretrained(folder)
    return str(folder)


def charts(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def said(test: AppTest) -> str:
    return " ".join(markdown.value for markdown in test.markdown).replace("\\", "")


def maps(test: AppTest) -> list[np.ndarray]:
    """What is coloured of weights, outputs, and their difference."""
    traces = [trace for trace in charts(test)[0]["data"] if trace["type"] == "heatmap" and "coloraxis" in trace]
    return [np.array(trace["z"], float) for trace in traces]


def test_the_tiny_pairs_mlps_were_not_changed_and_carry(page):
    test = page(pair="tiny", origin="layers")
    figure = charts(test)[1]
    bars = [trace for trace in figure["data"] if trace["type"] == "bar" and len(trace["x"]) > 1]
    assert len(bars) == 4
    changed, carried = (np.array(bar["y"], float) for bar in bars[2:])
    assert (changed == 0).all() and np.abs(carried).max() > 0.1
    assert np.abs(np.array(bars[0]["y"], float)).max() > 0.05


def test_a_bar_chooses_the_head_of_its_layer_that_either_map_shows_strongest(page):
    test = page(pair="tiny", origin="layers")
    weights, outputs, _ = maps(test)
    bars = [trace for trace in charts(test)[1]["data"] if trace["type"] == "bar" and "customdata" in trace]
    assert [place[0] for place in bars[0]["customdata"]] == [0, 1, 2, 3]
    changed, patched = (
        next(each.value for each in test.session_state.asking.followed if dict(each.asked.options).get("site") == site)
        for site in ("w_head", "z")
    )
    for layer in range(4):
        head = _furthest_of([changed, patched], [layer, 0])[1]
        strongest = max(np.abs(np.nan_to_num(values[layer])).max() for values in (weights, outputs))
        assert strongest in [abs(values[layer, head]) for values in (weights, outputs)]


def test_weights_light_up_exactly_what_was_changed_by_hand_and_the_sentence_says_so(page, known):
    test = page(base=str(TINY), instruct=known)
    weights, outputs, _ = maps(test)
    lit = {(int(layer), int(head)) for layer, head in np.argwhere(np.isfinite(weights))}
    assert lit == {(0, 0), (0, 1), (1, 3), (2, 0)}
    assert np.isfinite(outputs[2]).all()
    names = [f"L{layer}H{head}" for layer, head in sorted(lit)]
    assert f"Of {weights.size} heads only {', '.join(names[:-1])} and {names[-1]} move BASE" in said(test)
