"""Text that users typed or models wrote, made safe for Streamlit's Markdown.

Labels, metrics, captions and messages are Markdown: an unescaped token could load an image from another host.
"""

import re

from core import wording

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:@&^=\"'/])")
# An address becomes a link however it is escaped: unless a character without width stands in it.
_ADDRESS = re.compile(r"(?i)(https?:|www)(?=//|\.)")
_ZERO_WIDTH = "\u2060"


def plain(text: str) -> str:
    """The text itself, every character shown as it is, an address as no link; line breaks become ⏎."""
    shown = _ADDRESS.sub(rf"\1{_ZERO_WIDTH}", text.replace("\r", "").replace("\n", "⏎"))
    return _SPECIAL.sub(r"\\\1", shown)


def quoted(token: str) -> str:
    """A token in quotes, as the word it is."""
    return plain(wording.quoted(token))
