"""The key of an answer on disk: a hash of everything that determines it, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core.experiment import Experiment

# Raised when an analysis gives other numbers for the same question: nothing that was kept before is found again.
CODE = 1
# What the identity of the weights and the dtype that runs stand for.
_RESOLVED = {"pair", "base", "instruct", "dtype"}
_FIELDS = [field.name for field in fields(Experiment) if field.name not in _RESOLVED]


def answer_key(question: str, options: Mapping[str, Any], experiment: Experiment, identity: str, dtype: str) -> str:
    """experiment: as `Question.matters` leaves it. identity: of both models' weights; dtype: that runs.

    The name of a pair is no part of it: two names of the same weights have one answer. Nor is a limit of tokens or
    memory: it says what is computed here, and what was computed elsewhere is shown whatever it says.
    """
    said = {name: getattr(experiment, name) for name in _FIELDS}
    asked = [CODE, question, dict(options), said, identity, dtype]
    # Tuples and lists are one; NumPy's whole numbers are numbers.
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=operator.index)
    return hashlib.sha256(text.encode()).hexdigest()
