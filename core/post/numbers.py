"""The numbers of Karthik Viswanathan's post "The REPHRASE Circuit" (LessWrong, 6 April 2025), as it states them.

Llama-3.1-8B is BASE, Llama-3.1-8B-Instruct INSTRUCT. Pairs of numbers are (BASE, INSTRUCT), heads (layer, head) from 0.
Attention is from the last "The" (END). They are shown beside what is computed here, and nothing is computed from them.
"""

from __future__ import annotations

from core.experiment import Experiment
from core.models.pairs import PairSpec
from core.models.places import last_part

URL = "https://www.lesswrong.com/posts/nYNjjCFmTMcKdCmHM"
MODELS = ("Llama-3.1-8B", "Llama-3.1-8B-Instruct")
LAYERS = 32

Pair = tuple[float, float]
Head = tuple[int, int]

# Averages over the post's prompts, in logits.
LOGIT_DIFF: Pair = (-1.02, 7.37)
# Of the layer attribution plot: the layer whose attention, and whose MLP, writes most in INSTRUCT.
TOP_LAYER = {"attention": 30, "MLP": 31}
# Direct logit attribution, in logits; the post gives a number for the suppressing head alone.
SUPPRESSES, COMPETES = (30, 31), (30, 29)
DLA: dict[Head, Pair] = {SUPPRESSES: (2.13, 5.7)}
A_ORIGINAL: dict[Head, Pair] = {SUPPRESSES: (0.37, 0.85), COMPETES: (0.17, 0.03)}
# Output patches, INSTRUCT → BASE, as shares of the gap, in the post's order.
OUTPUT: dict[Head, float] = {
    (30, 31): 0.2, (13, 23): 0.06, (16, 29): 0.06, (13, 15): 0.04, (22, 30): 0.04, (13, 22): 0.04,
}  # fmt: skip
A_COLON: dict[Head, Pair] = {
    (13, 23): (0.24, 0.55),
    (16, 29): (0.53, 0.37),
    (13, 15): (0.16, 0.32),
    (22, 30): (0.12, 0.6),
    (13, 22): (0.09, 0.3),
}
# The query heads of one KV group whose value patch is about this share, above what their outputs move.
GROUP: tuple[Head, ...] = ((13, 20), (13, 21), (13, 22), (13, 23))
GROUP_SIZE = 4
VALUE = 0.1
# Where along the layers the two models' attention differs: first and last.
BANDS: dict[str, tuple[int, int]] = {"colon": (10, 15), "original": (13, 20)}


def is_posts_pair(spec: PairSpec) -> bool:
    """Whether a pair is the post's, from the hub or from folders of these names."""
    return (last_part(spec.base), last_part(spec.instruct)) == MODELS and not spec.quantization


def is_posts_prompt(experiment: Experiment) -> bool:
    """Whether it is the sentence that the post prints, as raw text; the answer it names is “swift”."""
    first = Experiment()
    same = all(getattr(experiment, name) == getattr(first, name) for name in ("instruction", "sentence", "original"))
    return same and not experiment.is_free and experiment.template == "raw" and experiment.answer in ("", "swift")
