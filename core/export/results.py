"""The results of one experiment together, and their tables as the command line writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.attention_results import Attention
from core.patching.results import Sweep
from core.prompt import AnsweredPrompt
from core.results import Attribution, Check, Depth, Summary, checks_frame


@dataclass(frozen=True)
class Results:
    """Of one experiment, as far as they were computed; sweeps: one a site, direction and positions.

    frozen_patterns: whether the sweeps held every later attention pattern at the recipient's.
    """

    prompt: AnsweredPrompt
    summary: Summary
    attribution: Attribution | None = None
    depth: Depth | None = None
    attention: Attention | None = None
    sweeps: Sequence[Sweep] = ()
    frozen_patterns: bool = False

    def tables(self) -> dict[str, pd.DataFrame]:
        """In the order of the export; `patching` only where a site was swept."""
        tables = {"summary": self.summary.to_frame()}
        checks: list[Check] = []
        for name, found in (("attribution", self.attribution), ("attention", self.attention)):
            if found is not None:
                tables[name] = found.to_frame()
                checks += found.checks
        if self.sweeps:
            tables["patching"] = pd.concat([sweep.to_frame() for sweep in self.sweeps], ignore_index=True)
        for sweep in self.sweeps:
            checks.append(Check(f"{sweep.site}: effect of the no-op patch", sweep.gap.no_op, float("inf")))
            spans = sweep.gap.floor.spans()
            checks += [Check(f"{sweep.site}: noise floor, {name}", value, float("inf")) for name, value in spans]
        return tables | {"checks": checks_frame(tuple(checks))}
