"""What the app's pages say, read off a run without a browser."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest


def gap_numbers(test: AppTest) -> list[str]:
    """The logit differences in Explore's finding: BASE, INSTRUCT, gap."""
    found = [text.value for text in test.markdown if "the logit difference by" in text.value]
    return re.findall(r"[+−]?\d+\.\d\d\b", found[0].replace("\\", "")) if found else []
