"""The page Post, the app run without a browser: a step a screen, live for the prompt; everything by one button."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from core.export.set_contents import sections
from core.sets.reading import shipped_file
from pages.post import ours
from pages.post.steps import ORDER
from pages.post.texts import ABOUT
from pages.prompts.choosing import Chosen
from pages.shared import service
from tests.pages.app import opened, settled

SHIPPED = shipped_file("tiny")


@pytest.fixture
def page(monkeypatch, forget):
    """parameters of the address → the page, settled."""
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    return lambda **parameters: settled(opened("post/page.py", **parameters))


def finding(test) -> str:
    said = [markdown.value.replace("\\", "") for markdown in test.markdown if markdown.value not in ABOUT.values()]
    return next(text for text in said if re.search(r"the post|rows point|Half of|by its output", text))


def rows(test) -> pd.DataFrame:
    return test.dataframe[0].value


def test_next_and_back_go_through_every_step_and_each_shows_ours(page):
    test = page(pair="tiny")
    seen = []
    for step in ORDER:
        assert test.session_state.view.get("step", "prompt") == step
        seen.append(finding(test))
        shown = rows(test)
        assert set(shown) == {"", "the post", "here", "agrees"}
        if step != "all":
            assert "…" not in set(shown["here"]), step
        if step != ORDER[-1]:
            test.button(key="post_next").click()
            settled(test)
    assert len(set(seen)) == len(ORDER)
    assert test.button(key="post_next").disabled
    # By rank: the head that patching finds in the tiny pair stands where the post's first one stands.
    outputs = rows(test)[rows(test)[""] == "1st head: output patch"].iloc[0]
    assert outputs["the post"] == "20% (L30H31)" and outputs["here"].endswith("(L2H6)")
    test.button(key="post_back").click()
    assert settled(test).session_state.view["step"] == "origin"
    said = " ".join(markdown.value for markdown in test.markdown)
    assert "**not** the post's models" in said and "one prompt" in said


def test_a_set_gives_rows_with_intervals_and_a_report_of_its_own(page, monkeypatch):
    few = "\n".join(SHIPPED.read_text().splitlines()[:4])
    monkeypatch.setattr(ours, "viewed", lambda overview: Chosen(few, "tiny.csv", 3))
    test = page(pair="tiny", step="outputs", numbers="set")
    shown = rows(test)
    assert shown["here"].str.fullmatch(r".+ \(L\dH\d\) \[.+, .+\]").all(), shown
    assert "means over 3 prompts" in " ".join(markdown.value for markdown in test.markdown)
    # What is known of the set is there at once for the next visitor.
    assert rows(page(pair="tiny", step="outputs"))["here"].tolist() == shown["here"].tolist()
    answers = test.session_state.asking.answers.values()
    averaged = next(answer.value for answer in answers if answer.asked.question == "prompt_set")
    titles = [section.title for section in sections(averaged)]
    assert "Patches of w_head, instruct to base, over the set" in titles and titles[-1] == "Every row"


def test_one_button_computes_what_every_step_needs_and_what_is_known_is_there_at_once(page):
    test = page(pair="tiny", step="all")
    assert (rows(test)["here"] == "…").any()
    test.button(key="post_compute").click()
    settled(test)
    assert not (rows(test)["here"] == "…").any()
    assert "everything that the steps need is there" in " ".join(markdown.value for markdown in test.markdown)
    # Another visitor, who has pressed nothing.
    other = settled(opened("post/page.py", pair="tiny", step="all"))
    assert not (rows(other)["here"] == "…").any() and other.button(key="post_compute").disabled
