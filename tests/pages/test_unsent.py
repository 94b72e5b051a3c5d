"""A fragment that runs before what it has written was sent leaves nothing to the browser that has no place there."""

from __future__ import annotations

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import create_reference_msg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from pages.shared import unsent

PLACE, BESIDE = [0, 0], [0, 1]


def message(path: list[int], text: str = "", fragment: str = "") -> ForwardMsg:
    """An element with a text, or without one a block."""
    sent = ForwardMsg()
    sent.metadata.delta_path[:] = path
    sent.delta.fragment_id = fragment
    if text:
        sent.delta.new_element.markdown.body = text
    else:
        sent.delta.add_block.allow_empty = True
    return sent


def known(of: ForwardMsg) -> ForwardMsg:
    """The same for a browser that has it."""
    of.hash = "has it"
    return create_reference_msg(of)


def refused(queue: ForwardMsgQueue) -> list[list[int]]:
    """The places that a browser with an empty page does not find, as its `setIn` does not."""
    blocks, counts, wrong = {(0,)}, {(0,): 0}, []
    for each in queue.flush():
        path = tuple(each.metadata.delta_path)
        if path[:-1] not in blocks or path[-1] > counts[path[:-1]]:
            wrong.append(list(path))
            continue
        counts[path[:-1]] = max(counts[path[:-1]], path[-1] + 1)
        blocks.discard(path)
        if each.delta.WhichOneof("type") == "add_block":
            blocks.add(path)
            counts[path] = 0
    return wrong


def written() -> ForwardMsgQueue:
    """A line as a page's run writes it, and within that run the poller: of the page, then in a block of the poller."""
    queue = ForwardMsgQueue()
    queue.enqueue(message(PLACE, "line"))
    queue.flush()
    queue.enqueue(message(PLACE, "line"))
    queue.enqueue(message(PLACE, fragment="poller"))
    queue.enqueue(known(message([*PLACE, 0], "line", "poller")))
    queue.enqueue(message(BESIDE, "button"))
    return queue


@pytest.mark.parametrize("clear, lost", [(unsent.clear, []), (unsent._clear, [[0, 0, 0], BESIDE])])
def test_a_fragments_run_takes_no_place_from_what_is_still_to_be_sent(clear, lost):
    queue = written()
    clear(queue, True, ["poller"])
    assert refused(queue) == lost


def test_what_a_fragment_writes_anew_is_sent_after_its_run_has_begun():
    queue = written()
    unsent.clear(queue, True, ["poller"])
    begins = ForwardMsg()
    begins.new_session.name = "poller"
    queue.enqueue(begins)
    queue.enqueue(message(BESIDE, "button of the poller", "poller"))
    kinds = [each.WhichOneof("type") for each in queue.flush()]
    assert kinds.index("new_session") == len(kinds) - 2


@pytest.mark.parametrize("retain", [True, False])
def test_before_a_page_is_drawn_anew_nothing_of_it_is_sent(retain):
    queue = written()
    unsent.clear(queue, retain)
    assert queue.is_empty()


def test_who_signs_out_is_sent_there_whatever_run_begins_before_it_was_told(monkeypatch):
    monkeypatch.setattr(ForwardMsgQueue, "clear", unsent.clear)
    queue = ForwardMsgQueue()
    for each in (message(PLACE, "a text"), ForwardMsg(auth_redirect={"url": "/auth/logout"})):
        queue.enqueue(each)
    queue.clear(retain_lifecycle_msgs=True)
    assert [each.auth_redirect.url for each in queue.flush()] == ["/auth/logout"]
    assert queue.is_empty()
