"""Every setting from the environment, prefix REPHRASE_: read and checked here and nowhere else."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

PREFIX = "REPHRASE_"
MB = 10**6
DEFAULT_CACHE = Path("~/.cache/rephrase")
_ADDRESSES = "e-mail addresses, or domains as @example.org, with commas between"
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Variable:
    """One environment variable; `parse` raises ValueError for what is not `accepts`."""

    name: str
    description: str
    accepts: str
    parse: Callable[[str], Any]


def _pattern(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return parse


def _above_zero(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        number = kind(text)
        if not (math.isfinite(number) and number > 0):
            raise ValueError(text)
        return number

    return parse


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in YES + NO:
        raise ValueError(text)
    return text.lower() in YES


def _file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError(text)
    return path


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError(text)
    return path


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(entry.strip() for entry in text.split(","))
    if not all(re.fullmatch(r"[^@\s]*@[^@\s]+", entry) for entry in found):
        raise ValueError(text)
    return found


def _setting(default: Any, name: str, description: str, accepts: str, parse: Callable[[str], Any]) -> Any:
    return field(default=default, metadata={"variable": Variable(PREFIX + name, description, accepts, parse)})


def _limit(default: int, name: str, of: str) -> Any:
    return _setting(
        default,
        name,
        f"On a public demo: {of}, by default {default}; 0 sets no limit.",
        "a whole number, 0 or above",
        _count,
    )


@dataclass(frozen=True)
class Settings:
    """The environment's settings; a default of None means that the value is found when it is needed."""

    pairs: Path | None = _setting(
        None,
        "PAIRS",
        "A file of your own model pairs, in the format of core/pairs.toml; they are added to the list.",
        "the path of a file that exists",
        _file,
    )
    pair: str | None = _setting(
        None,
        "PAIR",
        "The pair that is shown first; by default smollm2-rephrase where its files are there, else tiny.",
        "the id of a listed pair",
        str,
    )
    cache: Path = _setting(
        DEFAULT_CACHE,
        "CACHE",
        "The folder of answers kept on disk and of dequantized GGUF files.",
        "the path of a folder, there or not",
        _folder,
    )
    device: str = _setting(
        "auto",
        "DEVICE",
        "Where the models run; auto takes a GPU if there is one.",
        "auto, cpu, mps, cuda or cuda:N",
        _pattern(r"auto|cpu|mps|cuda(:\d+)?"),
    )
    dtype: str | None = _setting(
        None,
        "DTYPE",
        "The models' number format, in place of the one that each pair names.",
        "float32, bfloat16, float16 or float64",
        _pattern("float32|bfloat16|float16|float64"),
    )
    memory_gb: float | None = _setting(
        None,
        "MEMORY_GB",
        "Memory for all resident models, in GB, by default most of what the device has free; where one model of a pair "
        "fits and both do not, they take turns.",
        "a number above 0",
        _above_zero(float),
    )
    results_mb: int = _setting(
        256,
        "RESULTS_MB",
        "Memory for finished results, in MB.",
        "a whole number above 0",
        _above_zero(int),
    )
    store_mb: int = _setting(
        512,
        "STORE_MB",
        "Disk space for answers in the cache folder, in MB; 0 keeps none.",
        "a whole number, 0 or above",
        _count,
    )
    gallery: Path | None = _setting(
        None,
        "GALLERY",
        "A bundle of answers to show without computing them, as `python -m cache export` writes it; it is only read.",
        "the path of a file that exists",
        _file,
    )
    shipped: bool = _setting(
        True,
        "SHIPPED",
        "Whether the answers that come with the project are shown without computing them.",
        "1, true, yes, on, 0, false, no or off",
        _boolean,
    )
    presets: Path | None = _setting(
        None,
        "PRESETS",
        "A file of prompts of your own for the number keys and the menu Presets, before those that come with the app; "
        "docs/stage.md shows one.",
        "the path of a file that exists",
        _file,
    )
    threads: int | None = _setting(
        None,
        "THREADS",
        "CPU threads for torch; by default every core, or one for a pair so small that more would only wait.",
        "a whole number above 0",
        _above_zero(int),
    )
    hosted: bool = _setting(
        False,
        "HOSTED",
        "A public demo: only listed pairs load, and no local folder can be named in the address.",
        "1, true, yes, on, 0, false, no or off",
        _boolean,
    )
    operator: str | None = _setting(
        None,
        "OPERATOR",
        "A password for the buttons of the page Models; without one they are everybody's, on a public demo nobody's.",
        "any text",
        str,
    )
    max_tokens: int = _setting(
        512,
        "MAX_TOKENS",
        "The longest prompt that is computed, in tokens; what is kept is shown whatever its length.",
        "a whole number above 0",
        _above_zero(int),
    )

    sign_in: bool = _setting(
        False,
        "SIGN_IN",
        "Whether visitors sign in first, with the OpenID Connect provider that .streamlit/secrets.toml names.",
        "1, true, yes, on, 0, false, no or off",
        _boolean,
    )
    allowed: tuple[str, ...] = _setting(
        (),
        "ALLOWED",
        "Of those who sign in, who may look; by default everybody.",
        _ADDRESSES,
        _addresses,
    )
    operators: tuple[str, ...] = _setting(
        (),
        "OPERATORS",
        "Of those who sign in, for whom the buttons of the page Models are.",
        _ADDRESSES,
        _addresses,
    )
    max_sessions: int = _limit(200, "MAX_SESSIONS", "tabs that may be open at once")
    max_jobs: int = _limit(24, "MAX_JOBS", "questions that one tab may have waiting and running at once")
    max_jobs_address: int = _limit(600, "MAX_JOBS_ADDRESS", "the same of all tabs at one address")
    max_seconds: int = _limit(600, "MAX_SECONDS", "seconds that one question may compute, loading apart")
    max_sweeps: int = _limit(1200, "MAX_SWEEPS", "sweeps and sets that one address may ask for in an hour")
    log: str | None = _setting(
        None,
        "LOG",
        "How the server's log is written: lines of text, or one JSON object a line; by default JSON on a public demo.",
        "text or json",
        _pattern("text|json"),
    )
    log_prompts: bool = _setting(
        False,
        "LOG_PROMPTS",
        "Whether the log may hold what visitors type.",
        "1, true, yes, on, 0, false, no or off",
        _boolean,
    )

    @property
    def log_as_json(self) -> bool:
        return self.log == "json" or self.log is None and self.hosted

    @property
    def results_bytes(self) -> int:
        return self.results_mb * MB

    @property
    def store_bytes(self) -> int:
        return self.store_mb * MB

    @property
    def store_file(self) -> Path:
        return self.cache.expanduser() / "answers.sqlite"

    @property
    def sets_folder(self) -> Path:
        return self.cache.expanduser() / "sets"


def variables() -> tuple[Variable, ...]:
    """Every environment variable that is read, in the order of Settings."""
    return tuple(item.metadata["variable"] for item in fields(Settings))


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `environ`; an empty variable counts as unset.

    Raises ValueError naming the variable, its value and what is accepted.
    """
    known = {variable.name for variable in variables()}
    for name in environ:
        if name.startswith(PREFIX) and name not in known:
            raise ValueError(_unknown(name, sorted(known)))
    values = {}
    for item in fields(Settings):
        variable = item.metadata["variable"]
        text = environ.get(variable.name, "").strip()
        if text:
            values[item.name] = _parsed(variable, text)
    return Settings(**values)


def _parsed(variable: Variable, text: str) -> Any:
    try:
        return variable.parse(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{variable.name} is {text!r}; accepted: {variable.accepts}") from error


def _unknown(name: str, known: list[str]) -> str:
    """A misspelt REPHRASE_HOSTED must not open a public server, so an unknown name is refused."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(known)}"
    return f"{name} is not a setting; {hint}"
