"""Show on the page Patching: the map and its table are of the measure that the address names."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pages.patching.plan import MEASURED
from pages.shared import service
from tests.pages.app import opened, settled


@pytest.mark.parametrize("show", ["dlogp_original", "kl_donor", "rank_answer"])
def test_the_map_shows_the_measure_without_estimates_or_a_floor(show, monkeypatch, forget):
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    test = settled(opened("patching/page.py", pair="tiny", show=show))
    figure = json.loads(test.get("plotly_chart")[0].proto.spec)
    maps = [trace for trace in figure["data"] if trace["type"] == "heatmap"]
    sweep = test.session_state.asking.followed[-1].value
    found = [each.value for each in test.session_state.asking.followed if each.asked.question == "sweep"]
    expected = found[0].measure(show) + show.startswith("rank")
    assert len(maps) == 1 and sweep is not None
    np.testing.assert_allclose(np.array(maps[0]["z"], float), expected)
    assert figure["layout"]["coloraxis"]["cmin"] == (
        0 if not show.startswith("dlogp") else pytest.approx(-np.abs(expected).max())
    )
    assert MEASURED[show][0] in " ".join(map(str, test.dataframe[0].value.columns))
    assert test.query_params["show"] == show
    label, _, how = MEASURED[show]
    assert any(how in caption.value and caption.value[0] == label[0].upper() for caption in test.caption)
