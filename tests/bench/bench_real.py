"""The real pair, 30 layers × 9 heads: loading, recording, and sweeps against plain forwards and TransformerLens' loop.

Ratios within one run, of medians, the works in turns. The pair's own checkpoints are the plain models of transformers.
TransformerLens' function runs all layers alike, so it is measured on some and multiplied up.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
from pathlib import Path

import torch
import transformers

from core.experiment import Experiment
from core.models.loading import LoadedPair, fit_threads, load_pair
from core.models.pairs import PairSpec
from core.patching.sweeps import Recordings, sweep
from core.prompt import AnsweredPrompt
from core.runs import read_prompt, record_both, settle
from tests.bench.bench_patching import interleaved, plain_forwards, row_layers, seconds, transformer_lens
from tests.bench.real_pair import installed

THREADS, SAMPLED = 2, (0, 15)


def loads(spec: PairSpec) -> LoadedPair:
    """Loaded twice with a fresh cache folder: the first time dequantizes."""
    with tempfile.TemporaryDirectory() as folder:
        for what in ("first load, weights dequantized", "second load"):
            took = seconds(lambda: load_pair(spec, device="cpu", cache=Path(folder)))
            gc.collect()
            print(f"  {what:<38} {took:7.2f} s")
    return load_pair(spec, device="cpu")


def plain_models(pair: LoadedPair) -> list[transformers.PreTrainedModel]:
    """BASE as transformers loads it, twice: an adapter merged into it changes no sizes, and so no time."""
    folder = pair.checkpoints[0].folder
    load = transformers.AutoModelForCausalLM.from_pretrained
    return [load(folder, dtype=torch.float32, attn_implementation="sdpa").eval() for _ in pair.checkpoints]


def recordings(pair: LoadedPair, models: list[transformers.PreTrainedModel]) -> tuple[AnsweredPrompt, Recordings]:
    """Both recorded: the first time ever, and again against the plain forwards of both."""
    prompt = read_prompt(Experiment(pair=pair.spec.id), pair)
    ids = torch.tensor([prompt.ids])

    @torch.no_grad()
    def plain() -> None:
        for model in models:
            model(ids, use_cache=False)

    first = seconds(lambda: record_both(prompt, pair))
    took = interleaved({"recorded": lambda: record_both(prompt, pair), "plain": plain}, 15)
    print(f"  both recorded, {len(prompt.ids)} tokens: first time       {1000 * first:7.0f} ms")
    print(f"  both recorded, again                   {1000 * took['recorded']:7.0f} ms")
    print(f"    recorded / plain forwards            {took['recorded'] / took['plain']:7.2f}")
    recorded = record_both(prompt, pair)
    return settle(prompt, recorded), recorded


def sweeps(runs: Recordings, prompt: AnsweredPrompt, model: transformers.PreTrainedModel, repeats: int = 3) -> None:
    for site in ("z", "v"):
        works = {
            "sweep": lambda: sweep(runs, prompt, site),
            "plain": plain_forwards(model, prompt, row_layers(runs, site)),
        }
        took = interleaved(works, repeats)
        loop = transformer_lens(runs, prompt, site, SAMPLED)
        loops = statistics.median(seconds(loop) for _ in range(repeats)) * runs[0].bridge.cfg.n_layers / len(SAMPLED)
        print(f"  {site} sweep                                {took['sweep']:7.2f} s")
        print(f"    TransformerLens' own function        {loops / took['sweep']:7.1f} × as long")
        print(f"    sweep / plain forwards               {took['sweep'] / took['plain']:7.2f}")


def main() -> None:
    spec = installed()
    if spec is None:
        return
    before = torch.get_num_threads()
    print(f"{spec.id}: float32, {THREADS} threads")
    try:
        pair = loads(spec)
        fit_threads(pair, THREADS)
        models = plain_models(pair)
        prompt, runs = recordings(pair, models)
        sweeps(runs, prompt, models[0])
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
