"""Along the depth of the stream: what the Attribution page shows first, and what of it the address keeps."""

from __future__ import annotations

import json

import pytest

from pages.shared import service
from tests.pages.app import opened, settled


@pytest.fixture
def app(monkeypatch, forget):
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda **parameters: settled(opened("attribution/page.py", pair="tiny", **parameters))


def first_chart(test) -> dict:
    return json.loads(test.get("plotly_chart")[0].proto.spec)


def test_the_page_begins_with_the_logit_lens_whose_lines_are_a_switch_in_the_address(app):
    test = app()
    fig = first_chart(test)
    assert fig["layout"]["title"]["text"].startswith("Logit lens")
    assert [line["name"] for line in fig["data"] if line["mode"] == "lines"] == ["BASE", "INSTRUCT"]
    read = next(caption.value for caption in test.caption if caption.value.startswith("Read off"))
    assert "swift" in read and "INSTRUCT" in read
    assert "logit_lens" in test.session_state.downloads
    box = next(box for box in test.segmented_control if box.label == "Lines of the logit lens")
    settled(box.set_value("candidates").run())
    assert len(first_chart(test)["data"]) == 4 and test.query_params["lens"] in ("candidates", ["candidates"])


def test_the_ends_of_the_lens_are_the_models_logit_differences(app):
    test = app(sentence="The happy girl sees the old dog.", original="happy")
    asking = test.session_state.asking
    found = {wanted.question: answer.result for (_, wanted), answer in asking.answers.items()}
    assert found["depth"].logit_diff[:, -1] == pytest.approx(found["overview"].summary.logit_diff, abs=1e-4)
    ends = [line["y"][-1] for line in first_chart(test)["data"] if line["mode"] == "lines"]
    assert ends == pytest.approx(list(found["overview"].summary.logit_diff), abs=1e-4)


def labelled(widgets, label):
    return next(widget for widget in widgets if widget.label == label)


def asked(test) -> set[str]:
    return {wanted.question for _, wanted in test.session_state.asking.answers}


def test_neurons_are_computed_once_their_section_is_open_and_their_layer_is_in_the_address(app):
    test = app()
    assert "neurons" not in asked(test)
    test = settled(labelled(test.toggle, "Neurons of a layer's MLP").set_value(True).run())
    layer = labelled(test.number_input, "Layer")
    assert {"neurons", "neuron_patches"} <= asked(test)
    other = (int(layer.value) + 1) % 2
    test = settled(layer.set_value(other).run())
    assert test.query_params["neurons"] in (str(other), [str(other)])
    assert any(f"of layer {other} writes" in text.value and "of that" in text.value for text in test.markdown)
    table = next(frame.value for frame in test.dataframe if "promotes" in frame.value)
    assert len(table) == 20 and not table["effect of its patch"].str.contains("…").any()
    assert {"neurons", "neuron_patches"} <= set(test.session_state.downloads)


def test_a_layer_that_the_models_do_not_have_is_their_last_one(app):
    test = app(neurons="99")
    value = int(labelled(test.number_input, "Layer").value)
    assert value == labelled(test.number_input, "Layer").max
