"""Direct against total effect of every head, or layer: a closer look on the Patching page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core import definitions
from core.charts import theme
from core.charts.controls import SHARE
from core.charts.origin import origin_scatter
from core.control_findings import of_effects
from core.patching.control_results import WRITTEN, Effects
from core.patching.plan import unit
from pages.patching.plan import Plan
from pages.patching.score_map import grey
from pages.shared.asking import Answer
from pages.shared.figures import figure
from pages.shared.filling import filled
from pages.shared.heads import Place
from pages.shared.tables import choosable, worded
from pages.shared.text import plain

ROWS = 8


def section(overview: Answer, plan: Plan, head: Place | None) -> None:
    """Of the site on screen where that is written into the residual stream, else of output patches."""
    site = plan.site if plan.site in WRITTEN else "z"
    options, kind = plan.at(site), unit(site)

    def draw(direct, sweep) -> None:
        if direct is None:
            st.info("The direct effects appear once both models have run.")
            return
        found = Effects(direct, sweep or plan.nothing_yet(site))
        st.markdown(plain(of_effects(found)))
        layers, columns = found.total.logit_diff.shape
        names = [found.total.name(layer, column) for layer in range(layers) for column in range(columns)]
        shown = theme.LOGITS if plan.in_logits else SHARE
        fig = origin_scatter(
            plan.values(found.direct), plan.values(found.total), names, f"Every {kind}: direct effect against total",
            (f"direct, {shown}", f"total, {shown}"), True, found.within_noise, head if kind == "head" else None,
        )  # fmt: skip
        read = "Far from the dotted line it acts by later layers; along the horizontal line they take back what it "
        read += f"writes (self-repair). {grey(found.total)}"
        figure(
            fig, "direct_total", read, definitions.CONTROLS, found.to_frame, "head" if kind == "head" else "", options
        )
        if kind == "head":
            _furthest_apart(found)

    # What is written directly passes no pattern.
    written = {name: value for name, value in options.items() if name not in plan.held}
    filled(overview, [("direct", written), ("sweep", options)], draw)


def _furthest_apart(found: Effects) -> None:
    """The heads of which most is made by what comes after."""
    size = np.nan_to_num(np.abs(found.indirect))
    order = np.argsort(-size, axis=None, kind="stable")[:ROWS]
    heads = [(int(layer), int(column)) for layer, column in zip(*np.unravel_index(order, size.shape))]
    columns: dict[str, list] = {"head": [found.total.name(*at) for at in heads]}
    effects = {"direct": found.direct.frozen, "direct, s recomputed": found.direct.recomputed}
    effects |= {"total": found.total.effect, "indirect": found.indirect}
    columns |= {f"{name}, logits": [float(values[at]) for at in heads] for name, values in effects.items()}
    columns[""] = ["self-repair" if found.repaired[at] else "other sign" if found.reversed[at] else "" for at in heads]
    choosable(worded(pd.DataFrame(columns)), "furthest_apart", heads)
    st.caption("Largest indirect effect first. A selected row chooses its head.")
