"""The real pair's z sweep with every measure against the same with the logit difference alone: a ratio of medians."""

from __future__ import annotations

from unittest.mock import patch

import torch

from core.experiment import Experiment
from core.models.loading import fit_threads, load_pair
from core.patching.measures import Measures
from core.patching.measuring import Reader
from core.patching.sweeps import sweep
from core.runs import read_prompt, record_both, settle
from tests.bench.bench_patching import interleaved
from tests.bench.real_pair import installed

THREADS = 2


def main() -> None:
    spec = installed()
    if spec is None:
        return
    before = torch.get_num_threads()
    try:
        pair = load_pair(spec, device="cpu")
        fit_threads(pair, THREADS)
        read = read_prompt(Experiment(pair=spec.id), pair)
        recordings = record_both(read, pair)
        prompt = settle(read, recordings)

        def alone() -> None:
            with patch.object(Reader, "measures", lambda self, x: Measures.nothing(len(x))):
                sweep(recordings, prompt)

        took = interleaved({"measured": lambda: sweep(recordings, prompt), "alone": alone}, 3)
        print(f"  z sweep with every measure             {took['measured']:7.2f} s")
        print(f"    with / without measures              {took['measured'] / took['alone']:7.2f}")
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
