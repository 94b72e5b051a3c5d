"""Text that users typed or models wrote, made safe for Streamlit's Markdown.

Labels, metrics, captions and messages are Markdown: an unescaped token could load an image from another host.
"""

import re

from core import wording

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:@&^=\"'/])")


def plain(text: str) -> str:
    """The text itself, every character shown as it is; line breaks become ⏎."""
    return _SPECIAL.sub(r"\\\1", text.replace("\r", "").replace("\n", "⏎"))


def quoted(token: str) -> str:
    """A token in quotes, as the word it is."""
    return plain(wording.quoted(token))
