"""A `.gguf` file as a model: its weights dequantized once, into a folder of the cache in Hugging Face's format.

The folder, named by the file's sha256, holds config, safetensors and the tokenizer, all made from that one file; from
there the model is loaded like any other. It appears whole or not at all, whoever else makes it at the same time, and a
damaged one is made again. Weights are stored in the smallest dtype that holds them exactly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from core.experiment import InputError, shorten
from core.models.gguf_header import GgufHeader, read_header
from core.models.memory import GB, free_bytes

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# Loading changes what is the process's (torch's default dtype, names of the loader's modules): one at a time.
LOADING = threading.Lock()
_COMPLETE = "complete.json"
# Raised when what is written changes, so that entries of an earlier version are made again.
_VERSION = 1
_STALE_SECONDS = 3600
# The loader holds each weight in float32, and some of them twice for a while: 1.34 times them all were measured.
_COPIES = 1.5
# How texts are split before byte-level BPE, where GPT-2's own rule is not all: each digit stands alone.
_SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone")
_AS_GPT2 = ("default", "gpt-2", "olmo")


def dequantized(path: Path, cache: Path, progress: Callable[[str], None] = lambda message: None) -> tuple[Path, str]:
    """The folder of the cache that holds this file's model, made now if it is not there, and the file's sha256."""
    header = _header(path)
    try:
        entries = cache.expanduser() / "gguf"
        entries.mkdir(parents=True, exist_ok=True)
        sha256 = _file_hash(path, entries)
        folder = entries / sha256
        if not _is_whole(folder):
            progress(f"reading {path.name} once ({header.elements / 1e6:,.0f}M weights)")
            _check_room(header, entries)
            _make(header, folder)
        return folder, sha256
    except OSError as error:
        raise InputError(
            f"the cache folder {str(cache)!r} cannot be used ({shorten(str(error), 100)}); "
            "name another in REPHRASE_CACHE",
            "pair",
        ) from error


def weights_in(path: Path) -> int:
    """How many weights a GGUF file holds, from its checked header."""
    return _header(path).elements


def _header(path: Path) -> GgufHeader:
    if find_spec("gguf") is None:
        raise InputError("reading a GGUF file needs the Python package gguf; pip install -r requirements.txt", "pair")
    return read_header(path)


def _file_hash(path: Path, entries: Path) -> str:
    """sha256 of the file, remembered by its path, size and time: a file of many gigabytes takes seconds to hash."""
    stat = path.stat()
    known = entries / hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:32]
    known = known.with_suffix(".sha256")
    if known.is_file() and len(text := known.read_text().strip()) == 64:
        return text
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    temporary = known.with_suffix(f".{uuid.uuid4().hex[:8]}")
    temporary.write_text(digest)
    os.replace(temporary, known)
    return digest


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != _COMPLETE}


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _COMPLETE).read_text()) == {"version": _VERSION, "sizes": _sizes(folder)})
    except (OSError, ValueError):
        return False


def _check_room(header: GgufHeader, entries: Path) -> None:
    need, name = header.elements * 4, str(header.path)
    if (free := free_bytes("cpu")) < _COPIES * need:
        raise InputError(
            f"reading {name!r} needs {_COPIES * need / GB:.1f} GB of memory, {free / GB:.1f} GB is free; "
            "choose a smaller model",
            "pair",
        )
    if (free := shutil.disk_usage(entries).free) < need:
        raise InputError(
            f"{name!r} takes {need / GB:.1f} GB in the cache folder {str(entries)!r}, where {free / GB:.1f} GB is "
            "free; make room, or name another folder in REPHRASE_CACHE",
            "pair",
        )


def _make(header: GgufHeader, folder: Path) -> None:
    """Fill a folder beside the entry and rename it; what a killed process left behind is cleared away."""
    for left in folder.parent.glob(".making-*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    making = folder.parent / f".making-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    making.mkdir()
    try:
        _write(header, making)
        (making / _COMPLETE).write_text(json.dumps({"version": _VERSION, "sizes": _sizes(making)}))
        _take_place(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _take_place(making: Path, folder: Path) -> None:
    """Rename to the entry's name, from which a damaged one is moved away first."""
    for _ in range(3):
        try:
            return os.rename(making, folder)
        except OSError:
            if _is_whole(folder):
                # Another process was faster; what it made is the same.
                return None
            damaged = folder.parent / f".making-damaged-{uuid.uuid4().hex[:8]}"
            os.rename(folder, damaged)
            shutil.rmtree(damaged, ignore_errors=True)
    raise OSError(f"{folder} cannot be replaced")


def _write(header: GgufHeader, folder: Path) -> None:
    """Config, weights and tokenizer of the file, as a folder of Hugging Face's format."""
    from safetensors.torch import save_file

    try:
        with _header_parsed_once():
            model, tokenizer = _read_model(header), _read_tokenizer(header)
    except InputError:
        raise
    except Exception as error:  # the loader raises anything; the cause stays in the chain for the log
        raise InputError(f"{str(header.path)!r} cannot be read: {shorten(str(error), 160)}", "pair") from error
    weights = model.state_dict()
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    if (taken := sum(weight.numel() for weight in weights.values())) != header.elements:
        raise InputError(
            f"{str(header.path)!r} holds {header.elements:,} weights, of which its architecture takes {taken:,}; "
            "take this model's safetensors instead",
            "pair",
        )
    dtype = _exact_dtype(weights)
    save_file(
        {name: w.to(dtype).contiguous() for name, w in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    # Others may read the entry; the library makes private files.
    (folder / "model.safetensors").chmod(0o644)
    config = model.config
    # Else a loader would look for the GGUF file again.
    del config.quantization_config
    config.dtype, config.architectures = dtype, [type(model).__name__]
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _header_parsed_once() -> Iterator[None]:
    """The loader parses the header for config, tokenizer and weights anew, and its table of names for every module:
    half of its time. Its bar would stand beside the one line that an error gets."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils as loader

    with LOADING, ExitStack() as undo:
        for module, name, value in (
            (gguf, "GGUFReader", lru_cache(1)(gguf.GGUFReader)),
            (gguf, "get_tensor_name_map", lru_cache(1)(gguf.get_tensor_name_map)),
            (loader, "tqdm", lambda items, **options: items),
        ):
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield


def _read_model(header: GgufHeader) -> PreTrainedModel:
    """The dequantized model, in float32."""
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    # The loader overlooks it, and takes a family's usual size of a head; Qwen2 has no other.
    head = header.metadata.get(f"{header.architecture}.attention.key_length")
    model, found = transformers.AutoModelForCausalLM.from_pretrained(
        str(header.path.parent),
        gguf_file=header.path.name,
        dtype=torch.float32,
        output_loading_info=True,
        trust_remote_code=False,
        local_files_only=True,
        **({"head_dim": head} if head and header.architecture != "qwen2" else {}),
    )
    if missing := sorted(found["missing_keys"]):
        raise InputError(f"{str(header.path)!r} lacks {len(missing)} weights, {missing[0]!r} first", "pair")
    return model


def _exact_dtype(weights: Mapping[str, Tensor]) -> torch.dtype:
    """The smallest dtype that holds every weight exactly."""
    import torch

    for dtype in (torch.float16, torch.bfloat16):
        if all(torch.equal(weight.to(dtype).to(weight.dtype), weight) for weight in weights.values()):
            return dtype
    return torch.float32


def _read_tokenizer(header: GgufHeader) -> PreTrainedTokenizerFast:
    """The file's tokenizer, splitting texts as `tokenizer.ggml.pre` names it."""
    import transformers
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    rule = header.metadata.get("tokenizer.ggml.pre", "default")
    is_byte_level = header.metadata.get("tokenizer.ggml.model") == "gpt2"
    if is_byte_level and rule not in (*GGUF_PRE_TOKENIZER_SPLITS, *_SINGLE_DIGITS, *_AS_GPT2):
        # The loader would take GPT-2's rule without a word.
        raise InputError(
            f"{str(header.path)!r} splits texts by the rule {shorten(str(rule))!r}, which is not known here; "
            "take this model's safetensors instead",
            "pair",
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(header.path.parent), gguf_file=header.path.name, trust_remote_code=False, local_files_only=True
    )
    if is_byte_level and rule in _SINGLE_DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return tokenizer
