"""The server's log: lines of text or of JSON, without what anybody has typed unless that is wanted.

A job is named by its question and a short hash of its key: two lines of one hash are of one question, as long as the
server runs; guessing at prompts from a hash leads nowhere. Where nothing typed may be read, a job's line is made of
these alone, and of an exception its type and where it was raised are told, not its message. Control characters are
escaped: nothing that was typed begins a line of its own.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from secrets import token_bytes
from typing import Any

from cache.job import Job
from cache.limits import Refused
from core.experiment import InputError

log = logging.getLogger(__name__)
OURS = ("app", "cache", "core", "pages")
_SALT = token_bytes(16)
_FIELDS = "fields"  # the attribute of a record that holds what may be read of it by anybody
_CONTROL = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160)) if chr(n) not in "\n\t"}
_CONTROL |= {0x2028: "\\u2028", 0x2029: "\\u2029"}


def name(key: Hashable) -> str:
    """What a job is called where its prompt must not be read: “sweep 3f2a9c…”."""
    if not (isinstance(key, tuple) and key):
        return str(key)
    return f"{key[0]} {blake2b(repr(key).encode(), digest_size=6, key=_SALT).hexdigest()}"


def of_job(job: Job, outcome: str = "", error: BaseException | None = None) -> dict[str, Any]:
    """For `extra` of a line about a job."""
    fields: dict[str, Any] = {"event": "job", "job": name(job.key), "outcome": outcome or job.state}
    fields |= {"waited": round(job.waited, 3), "seconds": round(job.seconds, 3)}
    if error is not None:
        fields |= {"error": type(error).__name__, "raised": raised(error)}
    return of(**fields)


def of(**fields: Any) -> dict[str, Any]:
    """For `extra` of a line whose message may hold what was typed: what of it may be read by anybody."""
    return {_FIELDS: fields}


def ended(job: Job) -> None:
    """The line of a job that has ended; of one that failed `failed` says more."""
    if job.state != "failed":
        log.info("job %r %s", job.key, job.state, extra=of_job(job))


def failed(job: Job, error: BaseException) -> None:
    """The line of a job that fails, whether of a bad question, at a limit, or of what nobody foresaw."""
    if isinstance(error, (InputError, Refused)):
        log.info("job %r refused: %s", job.key, error, extra=of_job(job, "refused"))
    else:
        # as text: a handler that keeps its records would keep the frames
        told = "".join(traceback.format_exception(error))
        log.error("job %r failed\n%s", job.key, told, extra=of_job(job, "failed", error))


def raised(error: BaseException) -> list[str]:
    """Where, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]


class Formatter(logging.Formatter):
    """as_json: one object a line; prompts: whether what was typed may be read."""

    def __init__(self, as_json: bool, prompts: bool):
        super().__init__()
        self._as_json, self._prompts = as_json, prompts

    def format(self, record: logging.LogRecord) -> str:
        made = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"time": made, "level": record.levelname.lower(), "logger": record.name}
        fields: Mapping[str, Any] | None = getattr(record, _FIELDS, None)
        line |= fields or {}
        if fields is None or self._prompts:
            line["message"] = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line |= {"error": type(error).__name__, "raised": raised(error)}
            if self._prompts:
                line["traceback"] = "".join(traceback.format_exception(error))
        if self._as_json:
            return json.dumps(line, default=str)
        told = (f"{name}={value}" for name, value in (fields or {}).items() if name != "raised")
        said = line.get("message") or " ".join(told)
        text = f"{made} {line['level']} {record.name}: {said}"
        if "raised" in line and "traceback" not in line and (fields is None or not self._prompts):
            text += "\nTraceback, the innermost last, without its message:"
            text += "".join(f"\n  {each}" for each in (*line["raised"], line["error"]))
        return (text + "\n" + line["traceback"] if "traceback" in line else text).translate(_CONTROL)


def begin(as_json: bool, prompts: bool) -> None:
    """Have the whole process log so: once, at its start. As text what needs nobody's attention is left out."""
    formatter = Formatter(as_json, prompts)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    for name_ in OURS:
        logging.getLogger(name_).setLevel(logging.INFO if as_json else logging.WARNING)
    for name_ in list(logging.root.manager.loggerDict):
        for own in logging.getLogger(name_).handlers:
            own.setFormatter(formatter)
