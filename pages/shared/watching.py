"""The page's one poller: it keeps the lines that count, and draws the page again when a job has more to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitInvalidLayoutContextError
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from cache.job import Job, wait_until
from pages.shared import stage
from pages.shared.asking import Answer, Asking, again
from pages.shared.patience import crowd
from pages.shared.service import run_context, service
from pages.shared.text import plain

POLL = 0.3  # seconds between two ticks of a browser's clock
IN_A_CROWD = 1.0  # the same where many wait
BETWEEN = 0.05  # of them not spent waiting for a job to end: its figure need not wait for the next tick

Text = Callable[[], str]


def line(text: Text, terms: str | None = None, place: DeltaGenerator | None = None) -> None:
    """A line of Markdown here, or in an empty place, that is written anew while jobs run; terms: shown by hovering."""
    place = place or st.empty()

    def write() -> None:
        place.markdown(text(), help=terms)

    # Now, too: the poller draws last, and what stands below must not move.
    write()
    st.session_state.lines.append(write)


def hide_once_ended(key: str, answers: Sequence[Answer]) -> None:
    """Hide what has this key once none of these runs any more: a poller can write no widget, and empty no place that it
    has not written before."""

    def write() -> None:
        if not any(answer.running for answer in answers):
            st.html(f"<style>.st-key-{key} {{ display: none; }}</style>")

    write()
    st.session_state.lines.append(write)


def progress_line(job: Job) -> str:
    """What is being done for a job, in one line: while it waits, what it waits for."""
    shown = job
    if job.state == "queued":
        shown = service().worker.current() or job
    done, total, message = shown.progress
    count = f" {done}/{total}" if total else ""
    place = f" · {job.place} more before this prompt" if job.place else ""
    return f"{message or 'starting'}{count} · {shown.seconds:.1f} s{place}"


def watch(asking: Asking, on_screen: str) -> None:
    """The line of state, which is always there, and the poller of all lines while anything runs.

    on_screen: what is said while nothing is computed and nothing is wrong.
    """
    failed = [answer for answer in asking.answers.values() if answer.failure is not None]
    refused = asking.compared is not None and bool(asking.compared.errors)
    line(lambda: _state(asking, bool(failed) or refused, on_screen))
    lines = list(st.session_state.lines)

    every, begun = IN_A_CROWD if crowd() else POLL, list[bool]()

    def tick() -> None:
        first = not begun
        begun.append(True)
        # Not within the run that draws the page: a browser shows it once that has ended.
        wait_until(lambda: asking.has_more() or asking.is_over(), 0 if first else every - BETWEEN)
        over = asking.is_over()
        changed = asking.has_more() or over and any(old() for old in asking.outdated)
        # The first has its places in this run's lines before another one begins: by those of an older page it would
        # write into this one.
        if changed and not first:
            st.rerun()
        try:
            for write in lines:
                write()
        except StreamlitInvalidLayoutContextError:
            # The run that drew them was cut short before the poller had its places in them.
            st.rerun()
        if changed:
            st.rerun()
        if over:
            # What has ended is all in the lines: for them the whole page need not be drawn anew.
            _stop()

    # Else the lines as they were written are all that there is.
    if asking.waiting:
        st.fragment(tick, run_every=every)()
    if asking.errors and failed and not stage.on():
        st.button("Try again", on_click=again, args=(failed,), key="again", icon=":material/refresh:", type="tertiary")


def _stop() -> None:
    """Within a tick: have no more of them."""
    message = ForwardMsg()
    message.stop_auto_rerun.fragment_ids.append(str(ThreadState.get().fragment_id))
    run_context().enqueue(message)


def _state(asking: Asking, failed: bool, on_screen: str) -> str:
    if waiting := next((job for job in asking.drawn if not job.finished), None):
        return f":blue[:material/hourglass_top:] {plain(progress_line(waiting))}"
    if asking.errors:
        # On the stage what is wrong stands below the prompt already, and nothing lies over the figure.
        dimmed = any(answer.value is not None and not answer.fresh for answer in asking.answers.values())
        last = " Dimmed figures are the last good ones." if dimmed else ""
        why = "" if stage.on() else f" Not computed: see the marked input.{last}"
        return f":orange[:material/error:]{why}"
    if failed:
        return ":orange[:material/error:] Not all could be computed: where its figure would stand it says why."
    return f":green[:material/check_circle:] {on_screen}"
