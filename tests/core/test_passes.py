"""A pass with hooks: as the bridge's own, and whatever happens in it no hook of its own stays."""

from __future__ import annotations

import inspect
from inspect import signature
from unittest.mock import Mock

import pytest
import torch

from core.passes import modules_of, points_of, run_with_hooks

LAST, ENTRY = "blocks.0.hook_out", "blocks.0.hook_resid_pre"


def hooks_of(bridge) -> int:
    return sum(len(point.fwd_hooks) for point in {id(point): point for point in bridge.hook_dict.values()}.values())


@pytest.fixture
def run(pair_of):
    pair = pair_of()
    bridge, ids = pair.bridges[0], torch.tensor([pair.prompt.ids])
    return (
        bridge,
        lambda hooks: run_with_hooks(bridge, ids, hooks),
        lambda hooks: bridge.run_with_hooks(ids, return_type=None, fwd_hooks=hooks),
    )


@torch.no_grad()
def test_hooks_of_one_point_run_in_their_order_and_change_what_follows_as_the_bridges_own(run):
    _, ours, theirs = run
    seen = []
    for work in (ours, theirs):
        work(
            [
                (ENTRY, lambda x, hook: x + 1),
                (ENTRY, lambda x, hook: x * 2),
                (LAST, lambda x, hook: seen.append(x.clone())),
            ]
        )
    assert torch.equal(*seen)


@torch.no_grad()
def test_another_ones_hook_stays_and_none_of_its_own_does_even_after_an_error(run):
    bridge, ours, _ = run

    def stop(x, hook):
        raise KeyError

    handle = bridge.blocks[0].hook_out.add_hook(lambda x, hook: None)
    before = hooks_of(bridge)
    try:
        for wrong in ([(ENTRY, stop)], [(ENTRY, lambda x, hook: None), ("blocks.0.no_such", stop)]):
            with pytest.raises(KeyError):
                ours([(LAST, lambda x, hook: None), *wrong])
            assert hooks_of(bridge) == before
    finally:
        handle.hook.remove()
        bridge.blocks[0].hook_out.fwd_hooks.remove(handle)


@torch.no_grad()
def test_the_signatures_that_a_bridge_asks_for_are_the_own_ones_and_worked_out_once(run, monkeypatch):
    bridge, ours, theirs = run
    asked = []

    def noting(seen):
        return lambda x, hook: seen.append(signature(bridge.blocks[0].original_component.forward))

    for work in (ours, theirs):
        work([(LAST, noting(asked))])
    assert asked[0] == asked[1] and len(asked[0].parameters) > 3
    monkeypatch.setattr(
        inspect.Signature, "from_callable", from_callable := Mock(wraps=inspect.Signature.from_callable)
    )
    monkeypatch.setattr(inspect, "_signature_from_function", worked_out := Mock(wraps=inspect._signature_from_function))
    ours([(LAST, lambda x, hook: None)])
    assert from_callable.called and not worked_out.called
    assert not any("forward" in vars(module) for module in bridge.modules())


def test_a_bridges_parts_are_found_once(run):
    bridge, *_ = run
    assert modules_of(bridge) is modules_of(bridge) and points_of(bridge) is points_of(bridge)
    assert set(modules_of(bridge)) == set(bridge.modules()) - {bridge}
    assert points_of(bridge).keys() == bridge.hook_dict.keys()
