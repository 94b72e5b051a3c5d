"""The neurons of a layer's MLP: computed once the section is open, which the address says with the layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core import definitions
from core.findings import of_neurons
from core.neuron_results import NeuronPatches, Neurons
from core.results import Attribution
from core.wording import signed, visible
from pages.shared import state, tables
from pages.shared.asking import Answer, follow
from pages.shared.figures import below, figures
from pages.shared.text import plain
from pages.shared.widgets import show

ROWS = 20
HEIGHT = 35 * (ROWS + 1) + 3


def section(overview: Answer, attribution: Attribution) -> None:
    layers = attribution.mlp.shape[1]
    largest = int(np.abs(attribution.mlp[1] - attribution.mlp[0]).argmax())
    opened = state.view("neurons") != ""
    change = lambda on: state.set_view("neurons", str(largest) if on else "")  # noqa: E731
    show(st.toggle, "Neurons of a layer's MLP", "input_neurons", opened, change)
    if not opened:
        return
    layer = min(int(state.view("neurons")), layers - 1)
    choose = lambda number: state.set_view("neurons", str(int(number)))  # noqa: E731
    show(
        st.number_input, "Layer", "input_neuron_layer", layer, choose, min_value=0, max_value=layers - 1, width=220,
        help=f"The MLP whose direct share differs most is that of layer {largest}.",
    )  # fmt: skip
    asked = follow(overview, "neurons", layer=layer)
    patched = follow(overview, "neuron_patches", layer=layer, direction=state.view("direction"))
    with figures(asked, patched, key="neurons"):
        if asked.result is None:
            st.info("The neurons appear once both models have run again.")
        else:
            _shown(asked.result, patched.result)


def _shown(found: Neurons, patches: NeuronPatches | None) -> None:
    st.markdown(plain(of_neurons(found, patches)))
    st.dataframe(tables.worded(_table(found, patches)), key="neuron_table", hide_index=True, height=HEIGHT)
    of = {"layer": found.layer}
    read = f"The first {len(found.promoted)} of {found.of:,} neurons, in logits, by |INSTRUCT − BASE|."
    below("neurons", read, definitions.NEURONS, found.to_frame(), of)
    if patches is not None:
        read = "Every patched run: the neurons above alone, then the first of them at once."
        below("neuron_patches", read, definitions.NEURONS, patches.to_frame(), of)
    tables.badges(found.checks, "neuron_badges", definitions.NEURONS)


def _table(found: Neurons, patches: NeuronPatches | None) -> pd.DataFrame:
    count = len(found.promoted)
    effects = ["…"] * count if patches is None else [signed(float(effect), 3) for effect in patches.effect[:count]]
    return pd.DataFrame(
        {
            "neuron": found.neuron[:count],
            "BASE": found.direct[0, :count],
            "INSTRUCT": found.direct[1, :count],
            "change": found.change[:count],
            "effect of its patch": effects,
            "promotes": [_listed(tokens) for tokens in found.promoted],
            "suppresses": [_listed(tokens) for tokens in found.suppressed],
        }
    )


def _listed(tokens: tuple[str, ...]) -> str:
    return "  ".join(visible(token) for token in tokens)
