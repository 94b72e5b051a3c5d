"""What leaves a page says what it is of: in its columns, its file's name, and the manifest beside all tables."""

from __future__ import annotations

import io
import json
import zipfile

import pandas as pd
import pytest

from pages.shared import downloads, service
from pages.shared.charts import caption
from tests.pages.app import opened, settled
from tests.pages.test_figures import edit, held

PROMPT = "Rephrase all the adjectives of the following sentence: The quick fox jumps over the dog."


@pytest.fixture
def app(monkeypatch, forget):
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda page, **parameters: settled(opened(page, **parameters))


def read(download: downloads.Download) -> pd.DataFrame:
    # "null" may be a token.
    return pd.read_csv(io.StringIO(download.csv()), keep_default_na=False)


@pytest.mark.parametrize(
    "page, of_site, of_head",
    [
        ("explore", (), ()),
        ("attribution", (), ()),
        ("patching", ("patching", "top_patching_heads"), ()),
        ("attention", (), ("chosen_attention", "patterns")),
        ("head", (), ("head_attention_by_token",)),
    ],
)
def test_every_table_of_a_page_says_what_it_is_of(app, page, of_site, of_head):
    test = opened(f"{page}/page.py")
    test.session_state.view = {"head": "L1H2", "site": "v"}
    found = settled(test).session_state.downloads
    assert {*of_site, *of_head} <= set(found)
    for key, download in found.items():
        table = read(download)
        assert set(table["pair"]) == {"tiny"} and {prompt.split("\n")[0] for prompt in table["prompt"]} == {PROMPT}
        assert download.stem.startswith(f"{key}_tiny_The-quick-fox-jumps-over-the-dog-")
        if "answer" in table:
            assert set(table["answer"]) == {" swift"} and "_swift" in download.stem
        if key in of_site:
            assert set(table["site"]) == {"v"} and download.stem.endswith("_v")
        if key in of_head:
            assert set(zip(table["layer"], table["head"])) == {(1, 2)} and download.stem.endswith("_L1H2")


def test_a_table_of_the_prompt_before_says_so(app, monkeypatch):
    test = app("attention/page.py")
    begun, go_on = held(monkeypatch, "attention")
    edit(test, "The quick dog sees the cat.")
    # The overview of the new prompt is there before its attention is.
    assert begun.wait(60)
    while test.session_state.last["overview"].experiment.sentence != "The quick dog sees the cat.":
        test.run()
    before = test.session_state.downloads["attention_layers"]
    assert "The-quick-fox" in before.stem and set(read(before)["prompt"].str.contains("the dog.", regex=False)) == {
        True
    }
    go_on.set()
    assert "The-quick-dog" in settled(test).session_state.downloads["attention_layers"].stem


def button(test, key: str):
    """A button for downloading, as it is sent to a browser."""
    return next(each.proto for each in test.get("download_button") if each.proto.id.endswith(key))


def begun(monkeypatch, question: str, page: str, **view: str):
    """A page on which the question has begun and gives nothing yet; what lets it go on."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    asked, go_on = held(monkeypatch, question)
    test = opened(page)
    test.session_state.view = view
    for _ in range(1000):
        test.run()
        if asked.wait(0.05):
            break
    return test.run(), go_on


def test_what_has_not_been_computed_cannot_be_downloaded_and_says_why(monkeypatch, forget):
    test, go_on = begun(monkeypatch, "head_set", "patching/page.py", part="set", heads="L0H1,L2H6")
    assert button(test, "csv_set").disabled and "computed" in button(test, "csv_set").help
    assert not test.session_state.downloads["set"].there
    go_on.set()
    settled(test)
    assert not button(test, "csv_set").disabled and len(read(test.session_state.downloads["set"])) == 1


def test_where_no_table_has_anything_yet_a_report_and_a_notebook_can_be_had(monkeypatch, forget):
    test, go_on = begun(monkeypatch, "sweep", "origin/page.py")
    assert not any(made.there for made in test.session_state.downloads.values())
    assert button(test, "all_tables").disabled and not button(test, "export_html").disabled
    go_on.set()
    assert not button(settled(test), "all_tables").disabled


def test_texts_that_are_still_written_can_be_downloaded_for_the_page_is_not_drawn_again_once_they_are_whole(
    monkeypatch, forget
):
    test, go_on = begun(monkeypatch, "continuation", "explore/page.py")
    assert not button(test, "csv_continuations").disabled
    go_on.set()
    assert all(job.wait(60) for job in test.session_state.asking.waiting)
    assert read(test.session_state.downloads["continuations"])["text"].str.len().min() > 0


def test_what_is_of_no_prompt_names_none(app):
    test = opened("head/page.py")
    test.session_state["fold_scores"] = True
    scores = settled(test).session_state.downloads["head_scores"]
    assert scores.stem == "head_scores_tiny" and "prompt" not in read(scores)


def test_all_tables_come_in_one_file_with_what_they_were_computed_with(app):
    test = app("explore/page.py")
    asking = test.session_state.asking
    overview = next(answer for answer in asking.answers.values() if answer.asked.question == "overview")
    found, experiment = test.session_state.downloads, overview.asked.experiment
    made = downloads._zipped(found, experiment, overview.result, service.service().spec(experiment), {"pair": "tiny"})
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    described = json.loads(files.pop("manifest.json"))
    assert set(files) == {f"{download.stem}.csv" for download in found.values()} == set(described["tables"])
    assert files[f"{found['summary'].stem}.csv"] == found["summary"].csv()
    manifest = described["manifest"]
    assert described["experiment"]["sentence"] == "The quick fox jumps over the dog."
    assert manifest["answer"]["token"] == " swift" and manifest["libraries"].keys() >= {"torch", "transformer_lens"}
    assert manifest["weights"] and "/" not in manifest["base"]["model"]


def test_a_charts_caption_is_one_line_of_prompt_candidates_and_site():
    labels = {"pair": "tiny", "prompt": "Rephrase: A\n\nRephrased sentence: The", "answer": " swift"}
    found = caption({**labels, "original": " quick", "site": "z", "layer": 2, "head": 6})
    assert found == "Rephrase: A Rephrased sentence: The · quick → swift · pair tiny · site z · L2H6"
    assert caption({"pair": "tiny"}) == "pair tiny"
