"""Sweeps of a random Llama of 16 layers × 16 heads against TransformerLens' own function and plain forwards.

Everything is a ratio within one run on one machine, of medians. Its proportions are those of Llama-2: an MLP of 2.75
times d_model, a vocabulary of 32,000. The vocabulary matters: TransformerLens' function forms the logits of every
position, a sweep none. Plain forwards: the decoder of Hugging Face's model, final norm and logits left out, on as many
row-layers (rows × layers that a row passes) as the sweep needs.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from itertools import product
from pathlib import Path

import pandas as pd
import torch
import transformers
from transformer_lens import patching as reference

from core.patching.budget import TOKENS
from core.patching.growing_pass import shape_of
from core.patching.sweeps import Recordings, sweep
from core.prompt import Prompt
from tests.random_llama import random_llama, recorded_pair

LAYERS, HEADS, D_MODEL, POSITIONS, THREADS = 16, 16, 512, 24, 2
VOCABULARIES = (32_000, 768)  # Llama-2's, and one so small that forming logits costs nothing
REFERENCES = {"z": reference.get_act_patch_attn_head_out_all_pos, "v": reference.get_act_patch_attn_head_v_all_pos}


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turns after one warm-up, so that a busy neighbour slows all of them alike."""
    for work in works.values():
        work()
    times = [{name: seconds(work) for name, work in works.items()} for _ in range(repeats)]
    return {name: statistics.median(each[name] for each in times) for name in works}


def pair(layers: int = LAYERS, heads: int = HEADS, vocab: int = VOCABULARIES[0]) -> tuple[Recordings, Prompt]:
    """Heads share d_model between them, as in any Llama: more of them are narrower."""
    model = random_llama(layers, heads, D_MODEL, D_MODEL // heads, vocab=vocab)
    with tempfile.TemporaryDirectory() as folder:
        return recorded_pair(model, Path(folder), POSITIONS)


def row_layers(recordings: Recordings, site: str) -> int:
    shape = shape_of(recordings[0])
    return shape.width(site) * shape.layers * (shape.layers + 1) // 2


def plain_forwards(model: transformers.PreTrainedModel, prompt: Prompt, row_layers: int) -> Callable[[], None]:
    """The decoder alone, without cache and in batches as large as the sweep's chunks."""
    device = next(model.parameters()).device
    rows, size = round(row_layers / model.config.num_hidden_layers), TOKENS[device.type] // len(prompt.ids)
    sizes = [min(size, rows - start) for start in range(0, rows, size)]
    batches = [torch.tensor([prompt.ids] * size, device=device) for size in sizes]

    @torch.no_grad()
    def work() -> None:
        for batch in batches:
            model.model(batch, use_cache=False)

    return work


def transformer_lens(
    recordings: Recordings, prompt: Prompt, site: str, layers: Sequence[int] | None = None
) -> Callable[[], object]:
    """TransformerLens' own function over every head or group, or over those of some layers only."""
    recipient, donor = recordings
    ids = torch.tensor([prompt.ids], device=recipient.bridge.cfg.device)
    cells = product(layers or range(recipient.bridge.cfg.n_layers), range(shape_of(recipient).width(site)))
    index = pd.DataFrame(list(cells), columns=["layer", "head"])

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, prompt.answer_id] - logits[0, -1, prompt.original_id]

    @torch.no_grad()
    def work() -> object:
        # It draws a progress bar.
        with redirect_stderr(io.StringIO()):
            activations = donor.activations
            return REFERENCES[site](recipient.bridge, ids, activations, metric, index_axis_names=None, index_df=index)

    return work


def against_others(vocab: int, repeats: int = 3) -> dict[str, dict[str, float]]:
    """site → median seconds of the sweep, of as many plain forwards, and of TransformerLens' function."""
    recordings, prompt = pair(vocab=vocab)
    plain = random_llama(LAYERS, HEADS, D_MODEL, D_MODEL // HEADS)
    plain.set_attn_implementation("sdpa")
    return {
        site: interleaved(
            {
                "sweep": lambda: sweep(recordings, prompt, site),
                "transformers": plain_forwards(plain, prompt, row_layers(recordings, site)),
                "transformer_lens": transformer_lens(recordings, prompt, site),
            },
            repeats,
        )
        for site in REFERENCES
    }


def growth(repeats: int = 5) -> dict[str, float]:
    """How many times as long the z sweep takes when layers or heads are doubled."""
    sizes = {"8 × 16": (8, 16), "16 × 16": (16, 16), "16 × 8": (16, 8)}
    pairs = {name: pair(*size) for name, size in sizes.items()}
    times = interleaved({name: lambda p=p: sweep(*p, "z") for name, p in pairs.items()}, repeats)
    return {"layers": times["16 × 16"] / times["8 × 16"], "heads": times["16 × 16"] / times["16 × 8"]}


def main() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        print(
            f"patching: random Llama {LAYERS} × {HEADS}, d_model {D_MODEL}, {POSITIONS} tokens, float32, "
            f"{THREADS} threads"
        )
        for vocab in VOCABULARIES:
            for site, took in against_others(vocab).items():
                own = took["sweep"]
                print(f"  {site} sweep, vocabulary {vocab:6,}           {own:7.2f} s")
                print(f"    TransformerLens' own function        {took['transformer_lens'] / own:7.1f} × as long")
                print(f"    sweep / plain forwards               {own / took['transformers']:7.2f}")
        for what, ratio in growth().items():
            print(f"  z: doubling {what:<6}                    {ratio:7.2f} × as long")
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
