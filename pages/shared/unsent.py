"""What a run of a page has written reaches the browser, also where a fragment runs before it was sent.

Before a fragment's run Streamlit drops what that fragment has written and nobody has sent yet. It does not know what is
a fragment's of the messages that name what the browser has already: such a line would still be sent, and not the block
that it stands in, and the browser gives up at it. Nor does it bring back what such a block has replaced in the queue.

Before a whole run it drops all but a few kinds. That somebody signs in or out is none of these, and a browser that is
not told so keeps its cookie: who has signed out would be in again with the next page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

_clear = ForwardMsgQueue.clear


def kept() -> None:
    """From now on."""
    wrapped: Any = ForwardMsgQueue
    wrapped.clear = clear


def clear(
    queue: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: Sequence[str] | None = None
) -> None:
    """For `ForwardMsgQueue.clear`."""
    if retain_lifecycle_msgs and fragment_ids_this_run:
        # What comes is of another run: nothing of it may take the place of what lies before that run's begin.
        queue._delta_index_map = {}
    else:
        signing = [
            each for each in queue._queue if retain_lifecycle_msgs and each.WhichOneof("type") == "auth_redirect"
        ]
        _clear(queue, retain_lifecycle_msgs, None if fragment_ids_this_run is None else list(fragment_ids_this_run))
        queue._queue += signing
