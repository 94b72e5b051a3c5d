"""Two recorded forward passes against two plain ones of transformers, interleaved in one run."""

from __future__ import annotations

import statistics
import time

import torch
from transformers import AutoModelForCausalLM

from core.experiment import Experiment
from core.models.loading import fit_threads, load_pair
from core.models.pairs import registry
from core.runs import read_prompt, record_both

RUNS = 40


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    pair = load_pair(registry()["tiny"])
    fit_threads(pair)
    prompt = read_prompt(Experiment(), pair)
    plain = [AutoModelForCausalLM.from_pretrained(c.folder, dtype=torch.float32).eval() for c in pair.checkpoints]
    ids = torch.tensor([prompt.ids])

    def forwards() -> None:
        with torch.no_grad():
            for model in plain:
                model(ids, use_cache=False)

    record_both(prompt, pair), forwards()
    pairs = [(seconds(lambda: record_both(prompt, pair)), seconds(forwards)) for _ in range(RUNS)]
    recorded, unrecorded = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(
        f"two forwards recorded: {1000 * recorded:.1f} ms; plain transformers: {1000 * unrecorded:.1f} ms; "
        f"ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
