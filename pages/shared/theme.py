"""Streamlit reads its theme's options anew for the first message of every run: with two themes and their sidebars a
millisecond of the thread that serves everybody. They do not change while a server runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session

_populate = app_session._populate_theme_msg


def read_once() -> None:
    """From now on."""
    wrapped: Any = app_session
    wrapped._populate_theme_msg = _merge


def _merge(message: CustomThemeConfig, section: str = "theme") -> None:
    # To merge nothing would have the browser take the theme for one that is given.
    if (theme := _made(section)).ByteSize():
        message.MergeFrom(theme)


@cache
def _made(section: str) -> CustomThemeConfig:
    theme = CustomThemeConfig()
    _populate(theme, section)
    return theme
