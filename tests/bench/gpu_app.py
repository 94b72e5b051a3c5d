"""The whole app on a random pair for `tests.bench.gpu`: the pair on the disk, a pairs file, a server and Chromium."""

from __future__ import annotations

import gc
import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer

from core.models.memory import GB
from tests.bench.bench_app import NOUNS, USABLE, enter_to_figure
from tests.browser.chromium import ARGS, find
from tests.browser.server import server
from tests.random_tokenizers import byte_level

SHARD = "4GB"  # what the host holds of a model at once while it is saved
# The answer is in the address: what a random model suggests is no word.
SENTENCES = [f"The quick {noun} runs over the {place}." for noun in NOUNS for place in ("hill", "dog")]
ENTRY = """[[pair]]
id = "random"
title = "Random pair"
base = "./base"
instruct = "./instruct"
dtype = "bfloat16"
"""


def measure(make: Callable[[], tuple], need: int, folder: Path) -> dict:
    """Milliseconds from Enter to the new figure, or why there are none. make: the models; need: their bytes."""
    free = shutil.disk_usage(folder).free
    if 1.1 * need > free:
        return {"skipped": f"the pair takes {need / GB:.0f} GB on the disk, {folder} has {free / GB:.0f} GB free"}
    browser = find()
    if browser is None:
        return {"skipped": "no Chromium is installed"}
    save(make(), folder)
    give_back()
    return _drive(browser, folder)


def give_back() -> None:
    """The memory of models that nobody holds any more: others need it."""
    gc.collect()
    torch.cuda.empty_cache()


def tokenizer(vocab: int) -> transformers.PreTrainedTokenizerFast:
    """The tests' own, with a name for every id that a model of a larger vocabulary can give."""
    made = byte_level()
    inside = json.loads(made.backend_tokenizer.to_str())
    inside["model"]["vocab"] |= {f"<{n}>": n for n in range(len(made), vocab)}
    made._tokenizer = Tokenizer.from_str(json.dumps(inside))
    return made


def save(models: tuple, folder: Path) -> Path:
    """Both models in Hugging Face's format, and the pairs file that names them."""
    for name, model in zip(("base", "instruct"), models):
        model.save_pretrained(folder / name, max_shard_size=SHARD)
        tokenizer(model.config.vocab_size).save_pretrained(folder / name)
    pairs = folder / "pairs.toml"
    pairs.write_text(ENTRY)
    return pairs


def _drive(browser: str, folder: Path) -> dict:
    from playwright.sync_api import sync_playwright

    settings = {"REPHRASE_PAIRS": str(folder / "pairs.toml"), "REPHRASE_DEVICE": "cuda"}
    with sync_playwright() as playwright, server(folder / "log", **settings) as running:
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGS)
        page = chromium.new_page()
        page.goto(f"{running.url}?pair=random&answer=swift")
        page.wait_for_selector(USABLE, timeout=600_000)
        page.wait_for_timeout(2000)
        took = enter_to_figure(page, SENTENCES)
        chromium.close()
    return {"enter_to_figure_ms": round(statistics.median(took)), "edits": len(took)}
