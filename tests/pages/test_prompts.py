"""The page Prompts, the app run without a browser: the set, its averages, and every row that is left out."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cache.limits import Refused
from core.experiment import Experiment
from core.sets.reading import read_set, sampled, shipped_file
from core.sets.results import Ran, SetResult
from core.sets.running import Runner
from pages.prompts import choosing, spread
from pages.shared import opening, service, state
from tests.pages.app import opened, settled
from tests.pages.test_state import Session

OWN = """instruction,sentence,original,answers,structure
Rephrase all the adjectives of the following sentence,The quick fox jumps over the dog.,quick,swift;fast,mine
Rephrase all the adjectives of the following sentence,The big dog sleeps in the old house.,big,larger-than;large,mine
Rephrase all the adjectives of the following sentence,The old dog sleeps.,young,new,mine
"""


@pytest.fixture
def page(monkeypatch, forget, tmp_path):
    """parameters of the address → the page, settled."""
    monkeypatch.setenv("REPHRASE_CACHE", str(tmp_path))
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda **parameters: settled(opened("prompts/page.py", pair="tiny", **parameters))


def charts(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def said(test: AppTest) -> str:
    return " ".join(markdown.value for markdown in test.markdown).replace("\\", "")


def show(test: AppTest, **view: str) -> AppTest:
    test.session_state.view = {**test.session_state.view, **view}
    return settled(test)


@pytest.fixture
def tab(monkeypatch):
    """The session of a tab whose callbacks are called here."""
    tab = SimpleNamespace(session_state=Session(view={}, complaints=[], experiment=Experiment()))
    for module in (choosing, state, opening):
        monkeypatch.setattr(module, "st", tab)
    return tab.session_state


def test_a_set_is_summed_up_every_closer_look_has_figures_and_the_sentence_may_change_meanwhile(page):
    test = page(sample="12")
    assert "Over 12 prompts BASE prefers the original" in said(test)
    assert "INSTRUCT lies higher in" in said(test) and len(charts(test)) == 4
    scatter = next(trace for trace in charts(test)[0]["data"] if trace.get("customdata"))
    assert len(scatter["x"]) == 12 and len(set(map(tuple, scatter["customdata"]))) == 12
    for part, figures in {"attribution": 4, "attention": 3, "patching": 3, "rows": 2}.items():
        assert len(charts(show(test, set_part=part))) == figures, part
    assert "12 of 12 prompts have run; 0 rows are left out" in said(test)
    before = test.session_state.held.keys()
    box = next(box for box in test.text_input if box.label == "Sentence")
    settled(box.set_value("The happy girl sees the old dog.").run())
    assert {asked for asked in before if asked.question == "prompt_set"} <= test.session_state.held.keys()


def test_the_instruction_is_taken_apart_and_counter_instructions_are_named(page):
    test = page(sample="12", set_part="recognize")
    assert "INSTRUCT tells its instruction from others more than BASE does" in said(test)
    bars = charts(test)[2]["data"]
    assert [trace["name"] for trace in bars] == ["BASE", "INSTRUCT"] and len(bars[0]["x"]) == 6
    test = show(test, recognize="heads")
    assert "Within INSTRUCT the instruction is carried most by L" in said(test) and len(charts(test)) == 4
    table = next(frame.value for frame in test.dataframe if "counter-instruction" in frame.value)
    assert (table["counter-instruction"] != table["instruction"]).all()


def test_a_set_of_ones_own_is_shown_and_its_bad_rows_are_named(page):
    test = page(sample="12", set_part="rows", set="own")
    assert any("Upload a file" in info.value for info in test.info)
    test.session_state.own_set_text = (OWN, "mine.csv")
    settled(test)
    assert "Over 2 prompts" in said(test) and "1 row is left out" in said(test)
    rows = next(frame.value for frame in test.dataframe if "reason" in frame.value)
    assert "does not stand in the sentence" in rows["reason"].iloc[0] and "' large' is taken" in rows["reason"].iloc[1]


def test_an_uploaded_file_is_the_tabs_set_and_what_is_none_is_said_and_changes_nothing(tab):
    for data, reason in {b"": "empty", b"a;b\n1;2\n": "parted by", b"\xff\xfe\x00": "not UTF-8"}.items():
        choosing.take(data, "bad.csv")
        assert reason in tab.own_set_trouble and "own_set_text" not in tab and not tab.view
    choosing.take(b"\xef\xbb\xbf" + OWN.encode(), "mine.csv")
    assert tab.own_set_text == (OWN, "mine.csv") and tab.view == {"set": "own"} and not tab.own_set_trouble


def test_an_edited_table_is_a_set(tab, monkeypatch):
    monkeypatch.setattr(choosing.st, "rerun", lambda: None, raising=False)
    table = choosing.table_of(OWN)
    assert list(table["answers"]) == ["swift;fast", "larger-than;large"]
    table.loc[0, "sentence"] = "The quick, old fox\njumps."
    choosing.use(pd.concat([table, pd.DataFrame([{"instruction": None}])]))
    read = read_set(tab.own_set_text[0].encode())
    assert [entry.sentence for entry in read.entries][0] == "The quick, old fox jumps." and not read.refused


def test_a_clicked_prompt_becomes_the_experiment_and_explore_is_asked_for(tab):
    first, entry = read_set(OWN.encode()).entries[:2]
    ran = Ran(first, " swift", "", -2.0, 1.0), Ran(entry, " large", "", -1.0, 1.0)
    spread.open_prompt(SetResult(2, ran, (), None), [1])
    assert (tab.experiment.sentence, tab.experiment.answer) == (entry.sentence, "large")
    assert tab.open_page == "explore"


def test_a_set_is_built_from_the_sentence(page):
    test = page(sample="12", set="built", sentence="The tired horse sleeps near the river.", original="tired")
    assert "Over 12 prompts" in said(test)
    names = next(trace["text"] for trace in charts(test)[0]["data"] if trace.get("customdata"))
    assert "The tired horse sleeps near the river. (tired → " in names[0]
    test = settled(opened("prompts/page.py", pair="tiny", set="built", sentence="The red Tom runs.", original="red"))
    assert any("in the lists of adjectives and nouns" in warning.value for warning in test.warning)


def test_what_is_no_longer_looked_at_keeps_nothing_waiting(page, monkeypatch):
    def unending(runner, part, checkpoint):
        while True:
            checkpoint()
            time.sleep(0.01)
        yield

    test = page(sample="12")
    monkeypatch.setattr(Runner, "run", unending)
    test.session_state.view = {"sample": "72", "set_part": "patching"}
    test.run()
    left = [answer.job for answer in test.session_state.asking.answers.values() if answer.running]
    assert left
    show(test, sample="12", set_part="recognize")
    assert all(job.wait(60) for job in left) and {job.state for job in left} == {"cancelled"}


def test_where_no_prompt_could_be_run_the_reason_is_told_and_nothing_is_promised(page, monkeypatch):
    def refuses(runner, part, checkpoint):
        raise Refused("as much as this demo computes")

    monkeypatch.setattr(Runner, "run", refuses)
    test = page(sample="12", set_part="recognize")
    assert any("as this demo computes" in warning.value for warning in test.warning)
    assert "No prompt of the set was run" in said(test) and "are being run" not in said(test)
    assert not [info.value for info in test.info if "in a moment" in info.value]


def test_a_set_on_the_stage_is_its_sentence_and_its_scatter(page):
    test = page(sample="12", stage="1")
    assert len(charts(test)) == 1 and charts(test)[0]["layout"]["font"]["size"] > 16
    assert "Over 12 prompts" in said(test) and not test.get("segmented_control")


def test_a_sample_is_part_of_what_is_asked(page):
    text = sampled(shipped_file("tiny").read_text(), 12)
    test = page(sample="12")
    asked = next(a for a in test.session_state.asking.answers.values() if a.asked.question == "prompt_set").asked
    assert dict(asked.options) == {"rows": text}
