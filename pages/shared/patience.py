"""How long one run of a page's script waits for its jobs, all together, before it shows what there is."""

from __future__ import annotations

from pages.shared.service import service

PATIENCE = 0.25  # seconds
FIRST = 0.6  # for the first figures: two forwards of a small real pair
IN_A_CROWD = 0.1  # more of that for each viewer beyond a FEW that waits too: a page that is drawn once costs half
FEW, MANY = 3, 30
MOMENT = 0.05  # for what writes lines alone and has just begun: what ends with the run needs no poller
NOTHING_YET = 0.05  # before there is anything to keep on screen meanwhile: the frame comes at once


def patience(first: bool, shows: bool) -> float:
    """Seconds. first: whether it is for the first figures; shows: whether others are on screen meanwhile."""
    if not shows:
        return NOTHING_YET
    return FIRST + IN_A_CROWD * crowd() if first else PATIENCE


def crowd() -> int:
    """How many viewers wait beyond a few."""
    return max(0, min(service().worker.status().owners, MANY) - FEW)
