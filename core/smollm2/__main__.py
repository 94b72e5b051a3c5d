"""`python -m core.smollm2 [--out DIR] [--seed N]`: train the adapter, measure the pair, write its card.

A stopped run goes on where it stood. Exit 1 where the pair falls short of what it must show; the card says where.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch starts its threads
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from transformers import AutoTokenizer, LlamaForCausalLM  # noqa: E402
from transformers.utils import logging  # noqa: E402

from core.models.checkpoint import Checkpoint, find_both  # noqa: E402
from core.models.merging import merged  # noqa: E402
from core.models.pairs import registry  # noqa: E402
from core.settings import settings  # noqa: E402
from core.smollm2.adapter_files import write_adapter  # noqa: E402
from core.smollm2.card import write_card  # noqa: E402
from core.smollm2.evaluate import THRESHOLDS, measure  # noqa: E402
from core.smollm2.heldout import COUNTS, PATH, make_prompts  # noqa: E402
from core.smollm2.train import Plan, tune  # noqa: E402
from core.smollm2.words import FOLDER  # noqa: E402
from core.tiny.evaluate import missed  # noqa: E402
from core.tiny.heldout import read_prompts, write_prompts  # noqa: E402

PAIR = "smollm2-rephrase"


def _report(line: str) -> None:
    print(f"{time.process_time():7.0f} s  {line}", flush=True)


def _find(instruct: str) -> tuple[Checkpoint, Checkpoint]:
    """BASE as published and another model beside it, checked."""
    return find_both((registry()[PAIR].base, instruct), ("main", "main"), settings().cache, _report)


def _load(found: Checkpoint) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(found.folder, dtype=torch.float32).eval()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m core.smollm2", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where adapter/, the prompts and the card go")
    parser.add_argument("--work", type=Path, default=Path("smollm2-training"), help="checkpoints of a run under way")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="fewer for a trial")
    parser.add_argument("--prompts", action="store_true", help="make the held-out prompts anew (needs WordNet)")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    found, _ = _find(registry()[PAIR].base)
    tokenizer = AutoTokenizer.from_pretrained(found.folder)
    if options.prompts:
        write_prompts(make_prompts(_load(found), tokenizer), options.out / PATH.name)
        _report(f"{sum(COUNTS.values())} held-out prompts")
    plan = Plan(steps=options.steps)
    model, seconds = tune(_load(found), tokenizer, plan, options.seed, options.work, _report)
    write_adapter(model, found, options.out)
    base, tuned = _load(found), _find(str((options.out / "adapter").resolve()))[1]
    assert tuned.adapter is not None
    instruct = merged(base, tuned.adapter, found.folder)
    figures = measure(base, instruct, tokenizer, read_prompts(PATH))
    write_card(options.out, plan, options.seed, seconds / 60, found, figures)
    failures = missed(figures, THRESHOLDS)
    for failure in failures:
        print("missed:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
