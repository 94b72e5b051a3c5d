"""Which pages compare A with B, and what draws them then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pages.compared import attention, attribution, explore, head, patching
from pages.shared.comparing import Both

# The page's address → what it shows of both.
PAGES: Mapping[str, Callable[[Both], None]] = {
    "explore": explore.show,
    "attribution": attribution.show,
    "patching": patching.show,
    "attention": attention.show,
    "head": head.show,
}
