"""A and B beside each other, on every page that compares: the app run without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cache.answers import GALLERY
from cache.service import Service
from core.comparison import spelled
from core.experiment import Experiment, to_query
from core.models.pairs import lacking, registry
from core.settings import Settings
from core.wording import signed
from pages.shared import service
from tests.pages.app import opened, settled
from tests.pages.test_stage import charts, type_sentence

PAGES = ("", "attribution", "patching", "attention", "head")
A = Experiment(pair="tiny")
B = replace(A, sentence="The happy girl sees the old dog.", original="happy")
OTHERS = {
    "instruction": replace(A, instruction="Repeat the following sentence"),
    "word": replace(A, sentence="The quick fox sees the old dog.", original="old"),
    "answer": replace(A, answer="fast"),
    "dtype": replace(A, dtype="float64"),
    "everything": replace(A, prompt="Rephrased sentence: The", original=" quick", answer=" swift"),
}


@pytest.fixture
def app(monkeypatch, forget):
    """page, A, B → the app that compares them, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)

    def make(page: str = "", a: Experiment = A, b: Experiment | None = B, **more: str) -> AppTest:
        query = to_query(a) if b is None else spelled(a, b)
        return settled(opened(page and f"{page}/page.py", **query, **more))

    return make


@pytest.fixture(scope="module")
def apart():
    """question, experiment, options → the answer, computed by a service of its own."""
    on = Service(Settings())

    def answer(question: str, experiment: Experiment, **options):
        job = on.ask(question, experiment, (question, experiment), **options)
        assert job.wait(120) and job.state == "done", job.error
        return job.result

    yield answer
    assert on.worker.stop()


def said(test: AppTest) -> list[str]:
    """A's finding, B's, and the sentence on both."""
    texts = [text.value.replace("\\", "") for text in test.markdown]
    # Above stands what A is.
    first = [n for n, text in enumerate(texts) if text.startswith("**A** ")][1]
    return texts[first : first + 3]


def press(test: AppTest, key: str) -> AppTest:
    return settled(next(button for button in test.button if button.key == key).click().run())


def numbers(trace: dict, axis: str) -> np.ndarray:
    values = trace[axis]
    if isinstance(values, dict):
        from base64 import b64decode

        return np.frombuffer(b64decode(values["bdata"]), values["dtype"]).astype(float)
    return np.array(values, float)


def maps(chart: dict) -> list[np.ndarray]:
    """The values of a figure's panels; what is grey is absent."""
    found = [trace["z"] for trace in chart["data"] if trace["type"] == "heatmap" and trace.get("coloraxis")]
    return [np.array(z, float) for z in found]


def test_explore_shows_both_and_their_difference_on_one_axis(app, apart):
    test = app()
    a, b = (apart("overview", each).summary for each in (A, B))
    expected = [[*one.logit_diff, one.gap] for one in (a, b)]
    expected.append(list(np.subtract(expected[1], expected[0])))
    (chart,) = charts(test)
    assert np.allclose([numbers(trace, "x") for trace in chart["data"]], expected, atol=1e-4)
    assert "swift" in said(test)[0] and "glad" in said(test)[1]
    assert f"gap goes {signed(a.gap)} → {signed(b.gap)} ({signed(b.gap - a.gap)} logits)" in said(test)[2]


def test_attribution_shows_the_layers_of_both_and_their_difference(app, apart):
    (chart,) = charts(app("attribution"))
    a, b = (apart("attribution", each, projection="own") for each in (A, B))
    bars = [numbers(trace, "y") for trace in chart["data"]]
    columns = [(one.attn, one.mlp) for one in (a, b)] + [(b.attn - a.attn, b.mlp - a.mlp)]
    expected = [row for attn, mlp in columns for row in (*attn, *mlp)]
    assert np.allclose(bars, expected, atol=1e-4)


def test_patching_shows_the_scores_of_both_and_their_difference(app, apart):
    test = app("patching")
    a, b = (apart("sweep", e, site="z", direction="instruct_to_base", positions="all") for e in (A, B))
    found = maps(charts(test)[0])
    for shown, expected in zip(found, (a.score, b.score, b.score - a.score), strict=True):
        assert np.isfinite(shown).any()
        assert np.nanmax(np.abs(shown - expected)) < 1e-4
    assert said(test)[2].startswith("Most different is L")
    layout = charts(test)[0]["layout"]
    assert layout["coloraxis"]["cmax"] == pytest.approx(max(np.abs(a.score).max(), np.abs(b.score).max()), rel=0.2)


def test_where_one_of_both_has_no_scores_both_show_effects(app, apart):
    swapped = replace(A, prompt="Rephrased sentence: The", original=" swift", answer=" quick")
    a, b = (apart("sweep", e, site="z", direction="instruct_to_base", positions="all") for e in (A, swapped))
    assert b.gap.reason
    found = maps(charts(app("patching", b=swapped))[0])
    assert np.nanmax(np.abs(found[2] - (b.effect - a.effect))) < 1e-4


def test_attention_shows_what_fine_tuning_changes_in_both(app, apart):
    test = app("attention")
    a, b = (apart("attention", each) for each in (A, B))
    for chart, role in zip(charts(test), ("colon", "original"), strict=True):
        expected = (a.change(role), b.change(role), b.change(role) - a.change(role))
        assert np.allclose(maps(chart), expected, atol=1e-4)


def test_head_shows_what_it_attends_to_in_both(app, apart):
    (chart,) = charts(app("head", head="L2H6"))
    a, b = (apart("attention", each).weight[:, 2, 6] for each in (A, B))
    assert np.allclose([numbers(trace, "y") for trace in chart["data"]], [*a, *b, *(b - a)], atol=1e-4)


@pytest.mark.parametrize("page, other", list(zip(PAGES, OTHERS)), ids=OTHERS)
def test_whatever_differs_both_are_shown(app, page, other):
    test = app(page, b=OTHERS[other])
    assert len(said(test)) == 3 and charts(test) and not test.error


@pytest.mark.parametrize("page", PAGES)
def test_on_the_stage_a_comparison_is_one_figure(app, page):
    test = app(page, stage="1")
    assert len(charts(test)) == 1 and len(said(test)) == 3
    for kind in ("expander", "caption", "metric", "dataframe", "segmented_control", "selectbox", "popover"):
        assert not test.get(kind), kind


def test_the_key_keeps_a_and_edits_b_and_ends_it(app):
    test = press(app(b=None), "compare")
    assert dict(test.query_params) == {"pair": "tiny", "compare": "1"}
    assert any("the same as B" in text.value for text in test.markdown)
    test = type_sentence(test, B.sentence)
    assert test.query_params["b_sentence"] == B.sentence and "sentence" not in test.query_params
    assert test.session_state["compared"] == A
    # Edits of B are undone as ever.
    test = press(test, "undo")
    assert test.session_state["experiment"] == A and test.session_state["compared"] == A
    test = press(type_sentence(test, B.sentence), "compare_close")
    assert test.session_state["experiment"].sentence == B.sentence
    assert not [name for name in test.query_params if name.startswith("b_") or name == "compare"]
    assert len(charts(test)) == 2


def test_a_and_b_change_places(app, apart):
    test = press(app(), "compare_swap")
    assert test.session_state["experiment"] == A and test.session_state["compared"] == B
    values = [numbers(trace, "x")[2] for trace in charts(test)[0]["data"]]
    gaps = [apart("overview", each).summary.gap for each in (B, A)]
    assert np.allclose(values, [*gaps, gaps[1] - gaps[0]], atol=1e-4)


def test_what_is_wrong_with_b_is_told_beside_its_input_and_the_last_figure_stays_dimmed(app):
    test = app()
    before = charts(test)
    test = settled(next(b for b in test.text_input if b.label.startswith("Answer")).set_value("swift-footed").run())
    assert any("tokens" in error.value for error in test.error)
    assert [numbers(t, "x").tolist() for t in charts(test)[0]["data"]] == [
        numbers(t, "x").tolist() for t in before[0]["data"]
    ]
    assert "st-key-figures_compared { opacity: 0.45" in " ".join(html.proto.body for html in test.get("html"))
    assert test.query_params["b_answer"] == "swift-footed"


def test_what_is_wrong_with_a_is_told_in_the_place_of_the_figures(app):
    test = app(a=replace(A, answer="swift-footed"), b=replace(A, answer="fast"))
    assert [error.value.startswith("A") and "tokens" in error.value for error in test.error] == [True]
    assert not charts(test)
    test = press(test, "compare_close")
    assert not test.error and len(charts(test)) == 2


def test_an_address_without_bs_word_leaves_it_to_instruct(app):
    test = settled(opened("", pair="tiny", original="quick", b_sentence="The tired horse sleeps near the small river."))
    assert test.session_state["experiment"].original in ("tired", "small")
    assert test.session_state["compared"] == A


def test_pages_without_a_comparison_say_that_they_show_b_alone(app):
    test = app("origin")
    assert any("Origin shows B alone" in text.value.replace("\\", "") for text in test.markdown)


@pytest.mark.skipif(bool(lacking(registry()["smollm2-rephrase"])), reason="the real pair is not here")
@pytest.mark.parametrize("page", PAGES)
def test_pairs_of_other_sizes_stand_beside_each_other_and_say_why_there_is_no_difference(monkeypatch, app, page):
    # Most of what the large pair answers is shipped: this is about what is shown of it.
    monkeypatch.setenv("REPHRASE_GALLERY", str(GALLERY))
    test = app(page, b=replace(A, pair="smollm2-rephrase"))
    assert charts(test) and len(said(test)) == 3
    captions = " ".join(caption.value for caption in test.caption)
    if page == "head":
        assert "there is no B − A of positions" in captions
    elif page:
        assert "4 layers of 8 heads, B's 30 layers of 9 heads" in captions
    assert not re.search("B − A", json.dumps(charts(test), ensure_ascii=False)) or not page
