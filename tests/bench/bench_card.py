"""The circuit card of six heads on the real pair, its greedy circuit, and all paths into one, against a sweep."""

from __future__ import annotations

import torch

from core.experiment import Experiment
from core.models.loading import fit_threads, load_pair
from core.patching.card import card
from core.patching.paths import paths
from core.patching.sweeps import sweep
from core.runs import read_prompt, record_both, settle
from tests.bench.bench_patching import interleaved
from tests.bench.real_pair import installed

THREADS = 2
RECEIVER = (20, 5)
CIRCUIT = ((16, 7), (18, 4), (18, 6), (20, 1), (20, 5), (28, 8))


def main() -> None:
    spec = installed()
    if spec is None:
        return
    before = torch.get_num_threads()
    print(f"circuit card of {len(CIRCUIT)} heads, {spec.id}: float32, {THREADS} threads")
    try:
        pair = load_pair(spec, device="cpu")
        fit_threads(pair, THREADS)
        read = read_prompt(Experiment(pair=spec.id), pair)
        recordings = record_both(read, pair)
        prompt = settle(read, recordings)
        works = {"card": lambda: card(recordings, prompt, CIRCUIT), "sweep": lambda: sweep(recordings, prompt)}
        works["paths"] = lambda: paths(recordings, prompt, *RECEIVER)
        took = interleaved(works, 3)
        print(f"  card, nothing known before             {took['card']:7.2f} s  (at most 10)")
        print(f"    card / z sweep                       {took['card'] / took['sweep']:7.2f}")
        print(f"  paths into the q, k and v of L{RECEIVER[0]}H{RECEIVER[1]}   {took['paths']:7.2f} s")
        print(f"    paths / z sweep                      {took['paths'] / took['sweep']:7.2f}")
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
