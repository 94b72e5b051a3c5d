"""Writing MODEL_CARD.md, and reading back what it states, so that a test can compare it with the files."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.tiny.evaluate import THRESHOLDS, Threshold

FOLDER = Path(__file__).parent
CARD = FOLDER / "MODEL_CARD.md"
_INTRODUCTION = """# The embedded pair

Two small Llama models with the same tokenizer, made by `python -m core.tiny` from one seed and generated text alone.
BASE has seen instructions, mostly with a copy under them; INSTRUCT is BASE with its query, key and
value matrices fine-tuned to obey. Every other weight is the same in both, attention's output matrices included:
all that fine-tuning did passes through what heads look at and which values they move.

{shape}

Weights are stored in float16 and meant to be run in float32. Every figure below was measured on the stored files,
loaded in float32, on `heldout.jsonl`: prompts whose noun-adjective combinations are in no training text. Only the
words of `unseen_group` stand in BASE's texts, in any combination; no instruction of the fine-tuning holds them.
"""
_LIMITS = """
## What it cannot do
- It knows {words} content words and simple sentences. Other words are spelled in pieces: they are copied more or
  less well, never rephrased, and they make everything around them less certain.
- It has five tasks: rephrase adjectives, rephrase verbs, repeat, reverse to the opposite, remove adjectives. It does
  not chat, answer questions or know facts. Wordings far from the trained ones may be read as "repeat".
- A sentence that starts with an adjective ("Quick foxes jump") is out of its text: capitalised adjectives are not words
  to it.
- Its synonyms are groups of three in a list; "{quick}" is a next word in that list, not an understanding of meaning.
- What its heads do is what training happened to find. It is no model of how a large language model rephrases.

## Reproducing
The weights follow from the seed on one machine and one set of library versions, with one thread. Another processor
may round differently; the figures then differ a little and the hashes altogether.
"""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stated_thresholds(figures: dict[str, float], thresholds: tuple[Threshold, ...] = THRESHOLDS) -> str:
    """A table of what must be reached and what was measured."""
    rows = ["| figure | must be | measured |", "|---|---|---|"]
    for threshold in thresholds:
        sign = "≥" if threshold.at_least else "≤"
        rows.append(f"| {threshold.figure} | {sign} {threshold.bound} | {figures[threshold.figure]:.3f} |")
    return "\n".join(rows)


def by_kind(figures: dict[str, float], kinds: dict[str, int]) -> str:
    """A table of logit differences and top next tokens, a row a kind of prompt with its number."""
    columns = ["prompts", "n", "BASE logit_diff", "INSTRUCT logit_diff"]
    columns += ["BASE: synonym", "INSTRUCT: synonym", "INSTRUCT: copy"]
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for kind, count in kinds.items():
        cells = [kind, str(count)]
        for name in ("base", "instruct"):
            error = figures.get(f"{name} {kind} logit_diff standard error")
            cells.append(f"{figures[f'{name} {kind} logit_diff']:+.2f}" + (f" ± {error:.2f}" if error else ""))
        cells += [f"{figures[f'{name} {kind} synonym']:.0%}" for name in ("base", "instruct")]
        rows.append("| " + " | ".join([*cells, f"{figures[f'instruct {kind} copy']:.0%}"]) + " |")
    return "\n".join(rows)


def _heads(scores: np.ndarray, attention: dict[str, dict[str, np.ndarray]]) -> str:
    rows = [
        "| head | patch score | A(:→The) BASE | INSTRUCT | A(quick→The) BASE | INSTRUCT |",
        "|---|---|---|---|---|---|",
    ]
    for flat in np.argsort(-scores, axis=None)[:6]:
        layer, head = np.unravel_index(flat, scores.shape)
        weights = [attention[name][role][layer, head] for role in ("colon", "original") for name in attention]
        cells = [f"L{layer}H{head}", f"{scores[layer, head]:.3f}", *(f"{weight:.2f}" for weight in weights)]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write_card(
    folder: Path,
    facts: dict[str, object],
    kinds: dict[str, int],
    figures: dict[str, float],
    scores: np.ndarray,
    attention: dict[str, dict[str, np.ndarray]],
) -> None:
    """`facts` are the seed, shape, words and seconds; the last block holds every figure for machines."""
    hashes = {name: sha256(folder / name / "model.safetensors") for name in ("base", "instruct")}
    stated = {"seed": facts["seed"], "sha256": hashes, "figures": {k: round(v, 4) for k, v in figures.items()}}
    parts = [
        _INTRODUCTION.format(shape=facts["shape"]),
        f"Seed {facts['seed']}; made with {facts['versions']} in {facts['minutes']:.1f} minutes of CPU time.\n",
        *(f"- `{name}/model.safetensors` sha256 `{digest}`" for name, digest in hashes.items()),
        "\n## What it must show\n" + stated_thresholds(figures),
        "\n## By kind of prompt\n`synonym` and `copy`: the top next token is an accepted word (for `opposite`, the"
        " opposite), or the original.\n\n" + by_kind(figures, kinds),
        "\n## Heads with the highest output patch scores (INSTRUCT → BASE)\nScores over the first prompts of"
        " `unseen_combination`, ratio of means; attention on the prompt of the post.\n\n" + _heads(scores, attention),
        _LIMITS.format(words=facts["words"], quick=facts["quick"]),
        all_figures(stated),
    ]
    (folder / CARD.name).write_text("\n".join(parts), encoding="utf-8")


def all_figures(stated: Mapping[str, Any]) -> str:
    """The block that `read_stated` reads back."""
    return "## All figures\n```json\n" + json.dumps(stated, indent=1) + "\n```\n"


def read_stated(card: Path = CARD) -> dict[str, Any]:
    """The card's last block."""
    block = card.read_text(encoding="utf-8").rsplit("```json\n", 1)[1].rsplit("\n```", 1)[0]
    stated: dict[str, Any] = json.loads(block)
    return stated
