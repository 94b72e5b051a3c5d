"""What is kept of every prompt, by field, and what a run over a set computes. Nothing here knows torch.

Fields of both models have the axis (model,) first: BASE, INSTRUCT. A change is INSTRUCT − BASE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.attention_results import table_roles
from core.experiment import InputError
from core.patching.measures import MEASURES
from core.patching.plan import Direction
from core.sets.entries import Used

SUMMARY = (
    "logit_diff",
    "logit_answer",
    "logit_original",
    "prob_answer",
    "prob_original",
    "rank_answer",
    "rank_original",
)
ATTRIBUTION = ("embed", "attn", "mlp", "head", "attn_bias", "bias")
PATCHING = ("effect", "noise_floor", *MEASURES)
_NO_MEAN = ("picked",)  # roles that are another token in every prompt


@dataclass(frozen=True)
class Plan:
    """sites, direction, positions: of the sweeps; positions "all" or "end". roles: whose attention is kept."""

    sites: tuple[str, ...]
    direction: Direction
    positions: str
    roles: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def common_roles(used: Sequence[Used]) -> tuple[str, ...]:
    """The roles that every prompt has; an `InputError` where there is no prompt."""
    if not used:
        raise InputError("no row of the set can be used by this pair; see the reasons, row by row", "set")
    every = [table_roles(row.prompt.roles, row.prompt.colons) for row in used]
    return tuple(role for role in every[0] if role not in _NO_MEAN and all(role in roles for roles in every))


def attribution_field(component: str) -> str:
    """(model, layer), of heads (model, layer, head), of the embedding and the last bias (model,)."""
    return f"attribution {component}"


def attention_field(role: str) -> str:
    """(model, layer, head) A(role→END)."""
    return f"attention {role}"


def patching_field(site: str, measure: str) -> str:
    """(layer, column) of a sweep."""
    return f"patching {site} {measure}"
