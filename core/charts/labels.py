"""Text on figures: tokens, numbers and names, safe to hand to Plotly.

Plotly renders a subset of HTML, links included, in every label, and token strings come from whoever wrote the
prompt or the address: `escape` stands between the two.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

import numpy as np

PENDING_TEXT = "not yet computed"
_SHOWN = {"\n": "⏎", "\r": "␍", "\t": "⇥"}
# Embeddings and overrides, which would turn around whatever follows them.
_TURNING = {code: f"U+{code:04X}" for code in range(0x202A, 0x202F)}


def escape(text: str) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(text.translate(_TURNING), quote=False)


def token_label(token: str, longest: int = 18) -> str:
    """A token as one visible, escaped word."""
    return escape(visible(token, longest))


def visible(token: str, longest: int = 18) -> str:
    """A token as one visible word, not escaped: ` swift` → `␣swift`, a line break → `⏎`, long ones cut with `…`."""
    if not token:
        return "(empty)"
    shown = token if len(token) <= longest else token[: longest - 1] + "…"
    body = shown.lstrip(" ")
    return _isolated("␣" * (len(shown) - len(body)) + "".join(map(_shown, body)))


def _shown(character: str) -> str:
    # Format controls would turn the rest of the label around; unpaired surrogates cannot be sent at all.
    if character in _SHOWN:
        return _SHOWN[character]
    unseen = (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs") and character not in " \u200c\u200d"
    )
    if unseen:
        return f"U+{ord(character):04X}"
    return character


def _isolated(text: str) -> str:
    """Right-to-left text kept from reordering what stands beside it."""
    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)
    return f"\u2068{text}\u2069" if right_to_left else text


def token_labels(tokens: Sequence[str], longest: int = 14) -> list[str]:
    return [token_label(token, longest) for token in tokens]


def width_em(label: str) -> float:
    """Approximate width of an escaped label, in units of its type size."""
    text = html.unescape(label)
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else 0.58 for c in text)


def number(value: float, signed: bool = True) -> str:
    """Three decimals, two digits below 0.001, a true minus sign; NaN reads as not yet computed."""
    if not np.isfinite(value):
        return PENDING_TEXT
    small = value != 0 and abs(value) < 0.0005
    text = f"{value:+.1e}" if small else f"{value:+.3f}"
    if not signed or value == 0:
        text = text.lstrip("+")
    return text.replace("-", "−")


def with_unit(value: float, unit: str, signed: bool = True) -> str:
    """A number and its unit, escaped."""
    text = number(value, signed)
    return text if text == PENDING_TEXT or not unit else f"{text} {escape(unit)}"
