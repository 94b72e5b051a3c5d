"""What a browser is told that it has already, it has: a message is named in place of being sent again only where no end
of a run can have made the browser drop it meanwhile.

A browser says with each edit which messages it keeps, and drops at the end of every run those that have not come for
some runs. One of an edit that is on its way while a run ends is named, and dropped before it is named: who goes back
to a figure of two edits ago in that moment would lose the page. What came in the run before is kept by every browser.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import create_reference_msg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner_utils import script_run_context

MOST = 256  # messages that are named and not sent yet, of all sessions: they are sent within moments


@dataclass(eq=False)
class Came:
    """The hashes that have come to a browser in the whole run that it draws, and in those before that count."""

    now: set[str] = field(default_factory=set)
    before: set[str] = field(default_factory=set)
    ended: bool = True

    def take(self, message: ForwardMsg) -> ForwardMsg:
        """What is sent in place of a message, the next one of this session."""
        kind = message.WhichOneof("type")
        if kind == "new_session" and not message.metadata.run.fragment_ids:
            # A run that was cut short makes no browser drop anything.
            self.before = self.now if self.ended else self.before | self.now
            self.now, self.ended = set(), False
        elif kind == "script_finished":
            self.ended |= message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        elif kind == "ref_hash":
            whole = _named_by(message)
            # Those of a fragment are dropped at ends of its own.
            of_fragment = whole is not None and bool(whole.delta.fragment_id)
            if whole is not None and (of_fragment or message.ref_hash not in self.before | self.now):
                message = whole
            if not of_fragment:
                self.now.add(message.ref_hash or message.hash)
        elif message.metadata.cacheable and not message.delta.fragment_id:
            self.now.add(message.hash)
        return message


_named: OrderedDict[str, ForwardMsg] = OrderedDict()
_lock = Lock()
_came: WeakKeyDictionary[ForwardMsgQueue, Came] = WeakKeyDictionary()


@cache
def sure() -> None:
    """From now on; once a process."""
    queue: Any = ForwardMsgQueue
    flush = queue.flush

    def flushed(self: ForwardMsgQueue) -> list[ForwardMsg]:
        came = _came.setdefault(self, Came())
        return [came.take(message) for message in flush(self)]

    queue.flush = flushed
    wrapped: Any = script_run_context
    wrapped.create_reference_msg = name


def name(message: ForwardMsg) -> ForwardMsg:
    """A message that names another one, which is kept until it is known whether naming it does."""
    with _lock:
        _named[message.hash] = message
        _named.move_to_end(message.hash)
        while len(_named) > MOST:
            _named.popitem(last=False)
    return create_reference_msg(message)


def _named_by(named: ForwardMsg) -> ForwardMsg | None:
    """The message that is named, for its place; None where it is no longer known."""
    with _lock:
        found = _named.pop(named.ref_hash, None)
    if found is None:
        return None
    whole = ForwardMsg()
    whole.CopyFrom(found)
    whole.metadata.CopyFrom(named.metadata)
    whole.metadata.cacheable = True
    return whole
