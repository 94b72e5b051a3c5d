"""Figures are built again when something in them has changed, and a tab keeps those of its page alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from pages.shared import once as module
from pages.shared.once import once, remembering


class Session(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


@pytest.fixture
def session(monkeypatch):
    session = Session()
    monkeypatch.setattr(module, "st", SimpleNamespace(session_state=session))
    return session


def test_a_figure_is_built_once_for_the_same_result_and_anew_for_another(session):
    built, result = [], np.zeros(3)
    for inputs in ((result, "z"), (result, "z"), (result, "v"), (result.copy(), "v")):
        with remembering():
            once("map", lambda: built.append(inputs) or object(), *inputs)
    assert len(built) == 3


def test_a_tab_keeps_no_figure_and_no_result_of_a_page_that_it_has_left(session):
    for key in ("one page", "another"):
        with remembering():
            once(key, object, np.zeros(3))
        assert list(session.drawn) == [key]
