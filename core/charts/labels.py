"""Text on figures, safe to hand to Plotly.

Plotly renders a subset of HTML, links included, in every label, and token strings come from whoever wrote the
prompt or the address: `escape` stands between the two.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from math import isfinite

from core.wording import number, word, words

PENDING_TEXT = "not yet computed"
# Embeddings and overrides, which would turn around whatever follows them.
_TURNING = {code: f"U+{code:04X}" for code in range(0x202A, 0x202F)}


def escape(text: str) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(text.translate(_TURNING), quote=False)


def token_label(token: str, longest: int = 18) -> str:
    """A token as one visible, escaped word."""
    return escape(word(token, longest))


def token_labels(tokens: Sequence[str], longest: int = 14) -> list[str]:
    return [escape(shown) for shown in words(tokens, longest)]


def width_em(label: str) -> float:
    """Approximate width of an escaped label, in units of its type size."""
    text = html.unescape(label)
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.58 for c in text)


def with_unit(value: float, unit: str, plus: bool = True) -> str:
    """A number and its unit, escaped."""
    if not isfinite(value):
        return PENDING_TEXT
    text = number(value, plus)
    return f"{text} {escape(unit)}" if unit else text
