"""An edit is taken whole, however soon the next request follows: its run does not end within it, and the next waits."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.state import SafeSessionState, SessionState

from pages.shared import choosing, service, uncut
from pages.shared.service import run_context
from tests.pages.app import SOON, opened, settled
from tests.pages.test_choosing import type_into


def test_an_edit_whose_run_is_ended_within_the_callback_is_taken(monkeypatch, forget):
    monkeypatch.setattr(service, "_is_active", lambda owner: True)
    take = choosing.edit_sentence

    def ended(sentence: str) -> None:
        # As a click on another page does, which comes at once.
        run_context().script_requests.request_stop()
        take(sentence)

    monkeypatch.setattr(choosing, "edit_sentence", ended)
    test = settled(opened(pair="tiny"))
    before = test.session_state.experiment
    monkeypatch.setattr(choosing, "edit_sentence", take)
    test = type_into(test, "Sentence", "The sad fox jumps.").switch_page("attribution/page.py")
    after = settled(test).session_state.experiment
    assert (after.sentence, after.original) == ("The sad fox jumps.", "sad")
    assert test.session_state.past == [before]


def test_the_next_run_waits_for_the_callbacks_of_the_one_before(monkeypatch):
    uncut.runs()
    begun, go_on, seen = threading.Event(), threading.Event(), []
    session = SessionState()
    one, next_one = (SafeSessionState(session, lambda: None) for _ in range(2))
    one["experiment"] = "old"
    run = SimpleNamespace()
    monkeypatch.setattr(uncut, "get_script_run_ctx", lambda: SimpleNamespace(session_state=one, script_requests=run))

    def callbacks(session: SessionState, **replayed) -> None:
        begun.set()
        assert go_on.wait(SOON)
        session["experiment"] = "edited"

    monkeypatch.setattr(SessionState, "_call_callbacks", callbacks)
    editing = threading.Thread(target=one.on_script_will_rerun, args=(WidgetStates(),), daemon=True)
    drawing = threading.Thread(target=lambda: seen.append(next_one["experiment"]), daemon=True)
    editing.start()
    assert begun.wait(SOON)
    drawing.start()
    drawing.join(0.2)  # with the session free it would have ended by then
    assert not seen
    go_on.set()
    editing.join(SOON)
    drawing.join(SOON)
    assert seen == ["edited"]
