"""What the first run of a page would import and build for the first time, done before any visitor waits for it.

Plotly and Streamlit import most of their parts only once something names them.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import numpy as np
import plotly.graph_objects as go
import plotly.io

import pages
from core.charts.attention import attention_bars, layer_difference_lines
from core.charts.attribution import layer_bars
from core.charts.heatmap import head_heatmaps, model_panels
from core.charts.tokens import logit_difference_bars
from core.results import Summary, TopTokens
from pages.shared.drawn import Drawn

# Scripts, which Streamlit runs: pages, and the frame around them.
_SCRIPTS = ("frame", "page")
# Icons of buttons, tables from pandas, models of the hub on this machine, and what reads a script's last line.
_LATE = [
    "huggingface_hub.constants",
    "pyarrow.pandas_compat",
    "pyarrow.vendored.version",
    "streamlit.elements.plotly_chart",
    "streamlit.emojis",
    "streamlit.material_icon_names",
    "streamlit.runtime.scriptrunner.magic_funcs",
    "streamlit.web.skills",
]


def prepare() -> None:
    """Import what pages need, and draw one figure of each kind for nobody."""
    # Streamlit's first element asks for it, to see whether it runs in a console; the second time it is known.
    inspect.stack()
    modules = pkgutil.walk_packages(pages.__path__, f"{pages.__name__}.")
    for name in [module.name for module in modules if module.name.rpartition(".")[2] not in _SCRIPTS] + _LATE:
        import_module(name)
    for fig in _figures():
        plotly.io.to_json(Drawn(fig).sent(dark=False, keys=True).to_dict(), validate=False)


def _figures() -> Iterator[go.Figure]:
    one, pair = np.ones(1), np.ones(2)
    next_token = TopTokens((0,), ("",), one, one)
    summary = Summary(pair, pair, pair, pair, pair, pair, pair, pair, (next_token, next_token), ())
    yield logit_difference_bars(summary, "", "")
    yield layer_bars({"": np.ones((2, 1))}, "", "", subtitle="one layer")
    yield head_heatmaps(model_panels(np.ones((2, 1, 1))), "", chosen=(0, 0))
    yield layer_difference_lines({"": one})
    yield attention_bars(np.ones((2, 1)), [""], "")
