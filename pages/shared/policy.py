"""What a browser may load and run of a hosted page: its own files, and the scripts within it that are ours, by hash.

A script that came in with a prompt, a token or a pair's title would not run even where it got into the page. Styles may
stand within it, for Streamlit writes them there; its components' scripts come as blobs, which only a script can make.
CircuitsVis' frame has no address of its own, so the page's policy holds in it too.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def policy(page: bytes, scripts: Iterable[str]) -> str:
    """The value of Content-Security-Policy; page: what starts everything; scripts: what runs within frames of ours."""
    inline = [*_SCRIPT.findall(page), *(script.encode() for script in scripts)]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in inline)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' blob: {hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )
