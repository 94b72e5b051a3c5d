"""Numbers and tokens as a person reads them: one way on figures, in sentences, in tables and in messages.

A minus is a minus sign and no hyphen; what rounds to zero is zero and has no sign; what is not there yet is `…`.
Ranks count from 1 here; results and exports count from 0. Nothing is escaped: that is for whoever shows it.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isfinite

ABSENT = "…"
_SHOWN = {"\n": "⏎", "\r": "␍", "\t": "⇥"}
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")


def signed(value: float, digits: int = 2) -> str:
    """+0.01, −0.13, 0.00."""
    return _sign(f"{value:+.{digits}f}", value)


def unsigned(value: float, digits: int = 2) -> str:
    """0.24 for what is never negative; −0.13 where it is."""
    return _sign(f"{value:.{digits}f}", value)


def number(value: float, plus: bool = True) -> str:
    """For looking closely: three decimals, two digits below 0.0005 (−1.0e−05)."""
    small = value != 0 and abs(value) < 0.0005
    text = _sign(f"{value:+.1e}" if small else f"{value:+.3f}", value)
    return text if plus else text.lstrip("+")


def brief(value: float) -> str:
    """Two digits, for what is small or large by nature: 0.13, 7e−06."""
    return _sign(f"{value:.2g}", value)


def arrow(values: Iterable[float], digits: int = 2, plus: bool = False) -> str:
    """BASE → INSTRUCT: 0.24 → 0.55."""
    return " → ".join((signed if plus else unsigned)(float(value), digits) for value in values)


def share(score: float) -> str:
    """A patch score, or any share of a whole: 11%, −4%; less than 1%."""
    percent = 100 * score
    return _sign(f"{percent:.0f}%", score) if abs(percent) >= 0.5 else "less than 1%"


def percent(probability: float) -> str:
    """86%, 2.1%, 0.034%; < 0.01%."""
    p = 100 * probability
    text = f"{p:.0f}%" if p >= 10 else f"{p:.2g}%" if p >= 0.01 else "< 0.01%" if p > 0 else "0%"
    return _sign(text, p)


def rank(index: int) -> str:
    """A rank as people count, from 1; index: from 0."""
    return f"{int(index) + 1:,}"


def _sign(text: str, value: float) -> str:
    if not isfinite(value):
        return ABSENT
    if not text.strip("+-0.%"):
        return text.lstrip("+-")
    return text.replace("-", "−")


def word(token: str, longest: int = 18) -> str:
    """A token as the word it is, without its leading space: ` swift` → `swift`; a blank one stays visible."""
    return visible(token.lstrip(" ") or token, longest)


def words(tokens: Sequence[str], longest: int = 18) -> list[str]:
    """The same of several: different ones that would read alike keep their spaces."""
    alike = defaultdict(set)
    for token in tokens:
        alike[word(token, longest)].add(token)
    return [
        word(token, longest) if len(alike[word(token, longest)]) == 1 else visible(token, longest) for token in tokens
    ]


def quoted(token: str) -> str:
    """A token within a sentence."""
    return f"“{word(token)}”"


def visible(token: str, longest: int = 18) -> str:
    """A token to the letter: ` swift` → `␣swift`, a line break → `⏎`, long ones cut with `…`."""
    if not token:
        return "(empty)"
    return _spelled(token if len(token) <= longest else token[: longest - 1] + "…")


@lru_cache(maxsize=4096)
def _spelled(shown: str) -> str:
    body = shown.lstrip(" ")
    return _isolated("␣" * (len(shown) - len(body)) + "".join(map(_shown, body)))


def literal(text: str) -> str:
    """A string to the letter within a message: its quotation marks stay around it in whatever direction it runs."""
    return _isolated(repr(text))


def neighbours(tokens: Sequence[str], position: int, width: int = 2) -> str:
    """A position with its neighbours, the token itself in brackets: `following sentence[:] The quick`."""
    left = "".join(tokens[max(position - width, 0) : position])
    right = "".join(tokens[position + 1 : position + 1 + width])
    return f"{left}[{tokens[position]}]{right}".replace("\n", "⏎")


def located(tokens: Sequence[str], position: int) -> str:
    """A position as a person finds it, counted from 1: `token 12 of 27, “following sentence[:] The quick”`."""
    return f"token {position + 1} of {len(tokens)}, “{neighbours(tokens, position).strip()}”"


def _shown(character: str) -> str:
    # Format controls would turn the rest of the label around; unpaired surrogates cannot be sent at all.
    if character in _SHOWN:
        return _SHOWN[character]
    unseen = unicodedata.category(character) in _UNSEEN and character not in " \u200c\u200d"
    return f"U+{ord(character):04X}" if unseen else character


def _isolated(text: str) -> str:
    """Right-to-left text kept from reordering what stands beside it."""
    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)
    return f"\u2068{text}\u2069" if right_to_left else text
