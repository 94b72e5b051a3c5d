"""Questions of the neurons of one layer's MLP, in the worker's thread: each runs both models once more."""

from __future__ import annotations

from cache.questions.patching import NAMES
from cache.questions.work import Work
from core.neuron_results import NeuronPatches, Neurons
from core.patching.plan import Direction


def neurons(work: Work, layer: int) -> Neurons:
    from core.neurons import find_neurons

    work.ctx.progress(0, 0, f"neurons of layer {layer}")
    return find_neurons(work.runs.recordings, work.runs.prompt, layer)


def neuron_patches(work: Work, layer: int, direction: Direction) -> NeuronPatches:
    from core.neurons import patch_neurons

    work.ctx.progress(0, 0, f"patches of neurons of layer {layer}, {NAMES[direction]}")
    stop, between = work.ctx.stop_if_unwanted, work.ctx.checkpoint
    return patch_neurons(work.runs.recordings, work.runs.prompt, layer, direction, stop, between)
