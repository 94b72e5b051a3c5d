"""What a patched row costs beside another, on the real pair: ratios of medians, the works in turns.

Every measure against the logit difference alone; weights against activations; rows that run at END alone against rows
on all tokens, for the post's prompt and a long one; a map over positions against the same on all tokens.
"""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import torch

from core.experiment import Experiment
from core.models.loading import LoadedPair, fit_threads, load_pair
from core.patching.measures import Measures
from core.patching.measuring import Reader
from core.patching.origin import early_late
from core.patching.sweeps import Recordings, position_map, sweep
from core.prompt import AnsweredPrompt
from core.runs import read_prompt, record_both, settle
from tests.bench.bench_patching import interleaved, seconds
from tests.bench.real_pair import installed

THREADS = 2
LONG = "The quick fox jumps over the dog." + " It runs across the wide field and comes home in the evening." * 8


def recorded(pair: LoadedPair, **experiment: str) -> tuple[Recordings, AnsweredPrompt]:
    read = read_prompt(Experiment(pair=pair.spec.id, **experiment), pair)
    recordings = record_both(read, pair)
    return recordings, settle(read, recordings)


def whole(recordings: Recordings) -> Recordings:
    """Without keys and values to go on from."""
    base, instruct = (replace(recording, past=()) for recording in recordings)
    return base, instruct


def measured(recordings: Recordings, prompt: AnsweredPrompt) -> None:
    def alone() -> None:
        with patch.object(Reader, "measures", lambda self, x: Measures.nothing(len(x))):
            sweep(recordings, prompt)

    known = sweep(recordings, prompt, "resid_pre")
    works = {
        "z": lambda: sweep(recordings, prompt),
        "alone": alone,
        "w_head": lambda: sweep(recordings, prompt, "w_head"),
    }
    works |= {
        "resid_pre": lambda: sweep(recordings, prompt, "resid_pre"),
        "both": lambda: early_late(recordings, prompt),
        "other": lambda: early_late(recordings, prompt, there=known),
    }
    took = interleaved(works, 3)
    print(f"  z sweep with every measure             {took['z']:7.2f} s")
    print(f"    with / without measures              {took['z'] / took['alone']:7.2f}  (at most 1.15)")
    print(f"    w_head sweep / z sweep               {took['w_head'] / took['z']:7.2f}  (at most 1.3)")
    print(f"  early × late, both directions          {took['both']:7.2f} s")
    print(f"    / resid_pre sweep in one             {took['both'] / took['resid_pre']:7.2f}  (at most 1)")
    print(f"    the same where that sweep is known   {took['other'] / took['resid_pre']:7.2f}")


def late(recordings: Recordings, prompt: AnsweredPrompt, repeats: int) -> None:
    tokens = len(prompt.ids)
    works = {"END": lambda: sweep(recordings, prompt, positions="end"), "all": lambda: sweep(recordings, prompt)}
    took = interleaved(works, repeats) if repeats > 1 else {name: seconds(work) for name, work in works.items()}
    goal = 15 if tokens < 100 else 20
    print(f"  z sweep at END of {tokens:4} tokens          {took['END']:7.2f} s")
    print(f"    all positions                        {took['all'] / took['END']:7.1f} × as long  (at least {goal})")


def maps(recordings: Recordings, prompt: AnsweredPrompt) -> None:
    works = {"late": lambda: position_map(recordings, prompt), "all": lambda: position_map(whole(recordings), prompt)}
    took = interleaved(works, 1)
    print(f"  map over positions, {len(prompt.ids)} tokens         {took['late']:7.2f} s")
    print(f"    every row on all tokens              {took['all'] / took['late']:7.2f} × as long  (at least 1.7)")


def main() -> None:
    spec = installed()
    if spec is None:
        return
    before = torch.get_num_threads()
    print(f"rows of {spec.id}: float32, {THREADS} threads")
    try:
        pair = load_pair(spec, device="cpu")
        fit_threads(pair, THREADS)
        given = recorded(pair)
        measured(*given)
        late(*given, 3)
        maps(*given)
        late(*recorded(pair, sentence=LONG), 1)
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
