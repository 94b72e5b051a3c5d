"""One way of asking each question, on a pair of any size."""

from __future__ import annotations

from cache.questions.catalogue import QUESTIONS

PLAN = {"site": "z", "direction": "instruct_to_base", "positions": "all"}
HEADS = ((0, 1), (1, 2))
ROWS = """instruction,sentence,original,answers
Rephrase all the adjectives of the following sentence,The quick fox jumps over the dog.,quick,swift;fast
Rephrase all the adjectives of the following sentence,The big dog sleeps in the old house.,big,large
"""
OPTIONS: dict[str, dict] = {name: {} for name in QUESTIONS} | {
    "attribution": {"projection": "instruct"},
    "attention": {"projection": "own"},
    "pattern": {"layer": 1, "head": 2},
    "patterns": {"heads": HEADS},
    "layer_patterns": {"layer": 1},
    "head": {"layer": 1, "head": 2, "source": "colon", "ov_input": "recorded"},
    "head_patches": {"layer": 1, "head": 2},
    "head_controls": {"layer": 1, "head": 2},
    "neurons": {"layer": 1},
    "neuron_patches": {"layer": 1, "direction": "base_to_instruct"},
    "continuation": {"model": "instruct"},
    "estimate": {"site": "z", "direction": "instruct_to_base"},
    "direct": PLAN,
    "sweep": PLAN,
    "smallest_block": {"direction": "base_to_instruct"},
    "position_map": {"site": "resid_pre", "direction": "base_to_instruct"},
    "pairs": {"members": HEADS} | PLAN,
    "head_set": {"members": HEADS} | PLAN,
    "greedy": {"steps": 2} | PLAN,
    "paths": {"layer": 1, "head": 2, "direction": "base_to_instruct", "alone": True},
    "card": {"members": HEADS, "site": "z", "positions": "all"},
    "prompt_set": {"rows": ROWS, "sites": ("z",)},
    "instructions": {"rows": ROWS},
    "recognized": {"rows": ROWS, "task": "repeat"},
    "recomputed": {"members": HEADS} | PLAN,
}
