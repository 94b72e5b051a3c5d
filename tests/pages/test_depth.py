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
