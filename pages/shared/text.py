"""Text that users typed or models wrote, made safe for Streamlit's Markdown.

Labels, metrics, captions and messages are Markdown: an unescaped token could load an image from another host.
"""

import math
import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:@&^=\"'/])")


def plain(text: str) -> str:
    """The text itself, every character shown as it is; line breaks become ⏎."""
    return _SPECIAL.sub(r"\\\1", text.replace("\r", "").replace("\n", "⏎"))


def quoted(token: str) -> str:
    """A token in quotes, its leading space kept visible."""
    return f"“{plain(token.replace(' ', '␣', 1) if token.startswith(' ') else token)}”"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, as every page writes it; … where there is none yet."""
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else "…"
