"""A model's folder, before any weight is read: is it whole, how large is it, can two be compared?

Safetensors only. Each refusal is an `InputError` on the field "pair" that says what is wrong and what to do.
A hub model is first brought to a local folder; from there on there is one way of loading.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from core.experiment import InputError, shorten
from core.models.pairs import is_folder

_HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja"]
_HUB_DOUBLES = ["consolidated*", "original/*"]  # the same weights once more, in another layout
# What must agree for a head of one model to have its counterpart in the other: config.json's names and ours.
_COMPARED = {
    "num_hidden_layers": "layers",
    "num_attention_heads": "query heads per layer",
    "num_key_value_heads": "KV groups per layer",
    "hidden_size": "d_model",
    "head_dim": "d_head",
}


@dataclass(frozen=True)
class Checkpoint:
    """A checked local folder. source: as the user named it; revision: the hub's commit, "" for a local folder."""

    source: str
    folder: Path
    revision: str
    config: dict
    parameters: int


def find_checkpoint(source: str, revision: str = "main") -> Checkpoint:
    """The checked folder of a local path or a hub name; the latter is downloaded if it is not in the hub's cache."""
    folder = Path(source) if is_folder(source) else _download(source, revision)
    commit = "" if is_folder(source) else folder.name
    return Checkpoint(source, folder, commit, _config(folder), _parameters(folder))


def weights_hash(folder: Path) -> str:
    """sha256 over the folder's weight files, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


def check_comparable(base: Checkpoint, instruct: Checkpoint) -> None:
    """Refuse two models whose configs already say that their heads do not correspond."""
    check_same_sizes(*({name: _size(c.config, key) for key, name in _COMPARED.items()} for c in (base, instruct)))


def check_same_sizes(base: dict, instruct: dict) -> None:
    """Refuse two models of different sizes (name → size), saying which differs and how."""
    for name in base:
        if base[name] != instruct[name]:
            raise InputError(
                f"the two models cannot be compared: BASE has {base[name]} {name}, INSTRUCT has {instruct[name]}; "
                "choose a model and its own fine-tune",
                "pair",
            )


def _size(config: dict, key: str) -> int | None:
    text = config.get("text_config", config)
    if key == "num_key_value_heads":
        return text.get(key) or text.get("num_attention_heads")
    if key == "head_dim" and not text.get(key):
        return text.get("hidden_size", 0) // (text.get("num_attention_heads") or 1)
    return text.get(key)


def _config(folder: Path) -> dict:
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}; give the folder that holds config.json", "pair")
    path = folder / "config.json"
    if not path.is_file():
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
        raise InputError(f"the folder {str(folder)!r} holds no config.json (it holds: {held})", "pair")
    config = _json(path)
    if config.get("auto_map"):
        # Such a model may still be one that transformers knows; its own code is never run.
        config.pop("auto_map")
    return config


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {shorten(str(error))}", "pair") from None
    if not isinstance(found, dict):
        raise InputError(f"{str(path)!r} holds no JSON object; fetch it again", "pair")
    return found


def _parameters(folder: Path) -> int:
    files = _weight_files(folder)
    return sum(_elements(path) for path in files)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = _json(index).get("weight_map")
        if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
            raise InputError(f"{str(index)!r} names no weight files; fetch it again", "pair")
        names = sorted(set(files.values()))
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise InputError(f"{str(folder)!r} is incomplete: {missing[0]!r} is missing; fetch it again", "pair")
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    pickled = next((p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in folder.glob(pattern)), None)
    hint = f" ({pickled!r} is a pickle, which can run code: save the model with safe_serialization)" if pickled else ""
    raise InputError(f"{str(folder)!r} holds no model.safetensors; only safetensors are loaded{hint}", "pair")


def _elements(path: Path) -> int:
    """Number of weights in a safetensors file, from its header, which must fit the file's size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        header = file.read(length) if length <= size - 8 else b""
    try:
        tensors = {name: t for name, t in json.loads(header).items() if name != "__metadata__"}
        end = 8 + length + max((t["data_offsets"][1] for t in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{str(path)!r} is no whole safetensors file ({size:,} bytes); fetch it again", "pair"
        ) from None
    if end != size:
        raise InputError(
            f"{str(path)!r} is cut short: {size:,} bytes of {end:,}; fetch it again"
            if size < end
            else f"{str(path)!r} has {size - end:,} bytes too many; fetch it again",
            "pair",
        )
    total = 0
    for tensor in tensors.values():
        count = 1
        for n in tensor["shape"]:
            count *= n
        total += count
    return total


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import disable_progress_bars

    # Its bars would stand beside the one line that an error gets.
    disable_progress_bars()
    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_DOUBLES, max_workers=4
            )
        )
    except GatedRepoError:
        message = f"{name!r} is gated: ask for access on its page, then set HF_TOKEN to a token of that account"
    except RepositoryNotFoundError:
        message = f"the hub has no model {name!r} that this token may read; check the name, or set HF_TOKEN"
    except RevisionNotFoundError:
        message = f"{name!r} has no revision {revision!r}; give a branch, tag or commit of it"
    except HFValidationError as error:
        message = f"{name!r} is no name of a model: {shorten(str(error), 100)}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        # What the hub answered, where it did, is in the chain.
        message = _refused(name, error.__cause__) or (
            f"{name!r} is not on this machine and the hub cannot be reached; connect, or name local folders "
            "(--base and --instruct on the command line, REPHRASE_PAIRS in the app)"
        )
    except Exception as error:  # the hub's HTTP library has errors of its own
        message = _refused(name, error) or (
            f"the download of {name!r} broke off ({type(error).__name__}: {shorten(str(error), 80)}); "
            "what has come is kept, try again"
        )
    raise InputError(message, "pair")


def _refused(name: str, error: BaseException | None) -> str | None:
    """What to say of an answer of the hub's that is an error; None where there was no answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return None
    remedy = {
        401: "set HF_TOKEN to a valid token, or unset it",
        403: "this token may not read it: ask for access on its page",
        429: "too many requests: wait a while",
    }
    return f"the hub refused {name!r} with status {status}; {remedy.get(status, 'try again later')}"
