"""A text field that looks into the state of its session shows what Streamlit's own does, and makes no copy of it."""

from __future__ import annotations

import pytest
from streamlit.elements.widgets import text_widgets
from streamlit.runtime.state import SafeSessionState
from streamlit.testing.v1 import AppTest

from pages.shared import text_fields


def page() -> None:
    import streamlit as st

    st.session_state.setdefault("emptied", None)
    st.session_state.setdefault("filled", "of the state")
    st.text_input("a", "default", key="emptied")
    st.text_area("b", key="filled")
    st.text_input("c", "default", key="own")
    st.text_input("d", "default")


def shown() -> list[str | None]:
    test = AppTest.from_function(page).run()
    found = [field.value for field in (*test.text_input, *test.text_area)]
    return [*found, *(field.value for field in test.text_input[1].set_value("typed").run().text_input)]


@pytest.fixture
def looking(monkeypatch):
    monkeypatch.setattr(text_widgets, "get_session_state", text_widgets.get_session_state)
    return text_fields.look_up


def test_a_field_shows_what_streamlits_own_does_without_a_copy_of_the_state(looking, monkeypatch):
    expected, copies = shown(), []
    looking()
    own = SafeSessionState.filtered_state.fget
    counted = property(lambda state: copies.append(state) or own(state))
    monkeypatch.setattr(SafeSessionState, "filtered_state", counted)
    assert shown() == expected and None in expected and "typed" in expected and not copies
