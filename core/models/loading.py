"""Two models in memory, ready to be compared: raw `TransformerBridge`s of checked checkpoints."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from transformer_lens.model_bridge import TransformerBridge

from core.experiment import InputError, shorten
from core.models.checkpoint import Bring, Checkpoint, bring_both, check_same_sizes, find_both
from core.models.dtype import fitting_dtype, stored_dtype
from core.models.gguf import LOADING
from core.models.memory import SHARE, free_bytes, keep_freed
from core.models.pairs import BYTES, PairSpec
from core.models.quantized import check_quantizable
from core.models.room import bytes_needed, check_known, check_room, must_take_turns
from core.models.turns import Turns
from core.settings import DEFAULT_CACHE

DTYPES = {name: getattr(torch, name) for name in BYTES}
# Parameters of a pair below which two threads are slower than one, and 25 times slower beside another busy process.
_SMALL = 20_000_000
# The sizes by TransformerLens' names, whatever a family's config.json calls them.
_SIZES = {"n_layers": "layers", "n_heads": "query heads per layer", "n_key_value_heads": "KV groups per layer"}
_SIZES |= {"d_model": "d_model", "d_head": "d_head"}


@dataclass(frozen=True, eq=False)
class LoadedPair:
    """Two bridges on one device in one dtype, with the checkpoints they came from.

    in_turns: the device holds one of them at a time: `core.models.turns`.
    """

    spec: PairSpec
    base: TransformerBridge
    instruct: TransformerBridge
    checkpoints: tuple[Checkpoint, Checkpoint]
    dtype: str
    device: str
    in_turns: bool = False

    @cached_property
    def stored_dtype(self) -> str:
        """What most of both models' weights are stored in, "" where that is not known."""
        return stored_dtype(checkpoint.folder for checkpoint in self.checkpoints)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was run: model names, hub commits or hashes of local weights, dtypes, device, library versions."""
        models = {}
        for name, checkpoint in zip(("base", "instruct"), self.checkpoints):
            models[name] = {"model": checkpoint.source, "parameters": checkpoint.parameters, **checkpoint.identity()}
        held: dict[str, object] = {
            "dtype": self.dtype,
            "stored_dtype": self.stored_dtype or None,
            "device": self.device,
        }
        if self.in_turns:
            held["models_take_turns"] = True
        if self.spec.quantization:
            held["quantization"] = self.spec.quantization
        return {"pair": self.spec.id, **models, **held, "libraries": self._libraries()}

    def _libraries(self) -> dict[str, str]:
        """The versions of what had a part in the numbers."""
        used = {
            "peft": any(checkpoint.adapter for checkpoint in self.checkpoints),
            "gguf": any(checkpoint.file_sha256 for checkpoint in self.checkpoints),
            "bitsandbytes": bool(self.spec.quantization),
        }
        names = ("torch", "transformers", "transformer_lens", *(name for name, is_used in used.items() if is_used))
        return {name: version(name) for name in names}


def find_checkpoints(
    spec: PairSpec,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
    device: str = "auto",
    bring: Bring = bring_both,
) -> tuple[Checkpoint, Checkpoint]:
    """Both models' checked files, comparable with each other; cache: where GGUF files are dequantized to.

    device: where they shall run, for a quantization that not every device can have. bring: see `find_both`.
    """
    # Before a download of many gigabytes.
    check_quantizable(spec.title, spec.quantization, pick_device(device))
    revisions = (spec.base_revision, spec.instruct_revision)
    found = find_both((spec.base, spec.instruct), revisions, cache or DEFAULT_CACHE, progress, bring)
    if spec.quantization and any(checkpoint.adapter for checkpoint in found):
        raise InputError(
            f"{spec.title} has an adapter, which cannot be merged into {spec.quantization} weights; "
            "take `quantization` out of the pair",
            "pair",
        )
    return found


def pick_device(name: str = "auto") -> str:
    """A usable torch device, or an `InputError`; "auto" takes the first GPU, else the CPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise InputError(f"{name!r} is no device; choose auto, cpu, cuda, cuda:N or mps", "device") from None
    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    index = torch.device(name).index or 0
    if not usable.get(kind, False) or (kind == "cuda" and index >= torch.cuda.device_count()):
        raise InputError(f"this machine has no device {name!r}; choose cpu or auto", "device")
    return name


def load_pair(
    spec: PairSpec,
    dtype: str = "",
    device: str = "auto",
    checkpoints: tuple[Checkpoint, Checkpoint] | None = None,
    progress: Callable[[str], None] = lambda message: None,
    limit: int | None = None,
    cache: Path | None = None,
    in_turns: bool | None = None,
) -> LoadedPair:
    """Load both models, or raise an `InputError` before any weight is read where they do not fit or do not compare.

    dtype: "" takes `fitting_dtype`. limit: bytes that they may take on the device, by default what it has free. cache:
    where GGUF files are dequantized to. in_turns: by default where the device holds one of them, but not both.
    """
    keep_freed()
    device, least = pick_device(device), dtype or spec.dtype
    check_quantizable(spec.title, spec.quantization, device)
    progress(f"looking for {spec.title}")
    if checkpoints is None:
        check_known(spec, least, device, limit)
        checkpoints = find_checkpoints(spec, cache, progress, device)
    # Float32 in place of a pair's own half precision must not crowd out everything else.
    room = int(SHARE * free_bytes(device)) if limit is None else limit
    dtype = dtype or fitting_dtype(spec.dtype, device, bytes_needed(checkpoints, "float32"), room)
    if in_turns is None:
        free = free_bytes(device) if limit is None else limit
        in_turns = must_take_turns(checkpoints, dtype, spec.quantization, free)
    check_room(spec, checkpoints, dtype, device, limit, in_turns)
    base, instruct = _bridges(checkpoints, dtype, "cpu" if in_turns else device, spec.quantization, progress)
    check_same_sizes(_sizes(base), _sizes(instruct))
    if in_turns:
        Turns((base, instruct), device)
    return LoadedPair(spec, base, instruct, checkpoints, dtype, device, in_turns)


def fit_threads(pair: LoadedPair, threads: int | None = None) -> None:
    """Let torch use `threads` CPU threads, by default all cores, or one for a pair so small that more only wait."""
    small = sum(checkpoint.parameters for checkpoint in pair.checkpoints) < _SMALL
    torch.set_num_threads(threads or (1 if small else os.cpu_count() or 1))


def _sizes(bridge: TransformerBridge) -> dict[str, int | None]:
    return {name: getattr(bridge.cfg, field) for field, name in _SIZES.items()}


def _bridges(
    checkpoints: tuple[Checkpoint, Checkpoint],
    dtype: str,
    device: str,
    quantization: str,
    progress: Callable[[str], None],
) -> tuple[TransformerBridge, TransformerBridge]:
    bridges = []
    for checkpoint, model in zip(checkpoints, _read(checkpoints, dtype, device, quantization, progress)):
        with _refusing(checkpoint, dtype, device):
            bridges.append(_bridge(checkpoint, model, dtype))
    base, instruct = bridges
    return base, instruct


def _read(
    checkpoints: tuple[Checkpoint, Checkpoint],
    dtype: str,
    device: str,
    quantization: str,
    progress: Callable[[str], None],
) -> tuple[transformers.PreTrainedModel, ...]:
    """Both models; an adapter's is made of the other one's weights."""
    models = {}
    # An adapter last: merged before a bridge takes the other model's modules apart.
    for checkpoint in sorted(checkpoints, key=lambda checkpoint: checkpoint.adapter is not None):
        with _refusing(checkpoint, dtype, device):
            if checkpoint.adapter is None:
                progress(f"loading {checkpoint.source} ({checkpoint.parameters / 1e6:,.0f}M parameters)")
                models[id(checkpoint)] = whole = _load(checkpoint, dtype, device, quantization)
            else:
                from core.models.merging import merged

                progress(f"merging {checkpoint.source}")
                models[id(checkpoint)] = merged(whole, checkpoint.adapter, checkpoint.folder)
    return tuple(models[id(checkpoint)] for checkpoint in checkpoints)


def _check_known(checkpoint: Checkpoint) -> None:
    """Refuse a model that only its own code can load: the loader would ask to have it run."""
    kind = checkpoint.config.get("model_type")
    if checkpoint.config.get("auto_map") and kind not in transformers.CONFIG_MAPPING:
        raise InputError(
            f"{checkpoint.source!r} is of the kind {kind!r} and needs code of its own, which is never run; "
            "choose a model of an architecture that transformers has",
            "pair",
        )


def _load(checkpoint: Checkpoint, dtype: str, device: str, quantization: str) -> transformers.PreTrainedModel:
    _check_known(checkpoint)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # Loaded here rather than by the bridge: only so can pickles be refused and weights go straight to the device.
    with LOADING:
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            str(checkpoint.folder),
            output_loading_info=True,
            dtype=DTYPES[dtype],
            device_map=device,
            use_safetensors=True,
            attn_implementation="eager",
            trust_remote_code=False,
            local_files_only=True,
            **(
                {"quantization_config": transformers.BitsAndBytesConfig(**{f"load_in_{quantization}": True})}
                if quantization
                else {}
            ),
        )
    # They would be random, and so every number.
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"{checkpoint.source!r} lacks {len(missing)} weights, {missing[0]!r} first; fetch or save it again", "pair"
        )
    return model.eval()


def _bridge(checkpoint: Checkpoint, model: transformers.PreTrainedModel, dtype: str) -> TransformerBridge:
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(checkpoint.tokenizer_folder), trust_remote_code=False, local_files_only=True
    )
    bridge = TransformerBridge.boot_transformers(
        str(checkpoint.folder), hf_model=model, tokenizer=copy.deepcopy(tokenizer), dtype=DTYPES[dtype]
    )
    # The bridge makes a tokenizer add a BOS, and names EOS as BOS where there is none (Qwen). Via None, for the
    # setter would do it again.
    bridge.tokenizer = None
    bridge.tokenizer = tokenizer
    return bridge


@contextmanager
def _refusing(checkpoint: Checkpoint, dtype: str, device: str) -> Iterator[None]:
    """Third-party loaders raise anything: one message for the user, the cause in the chain for the log."""
    try:
        yield
    except InputError:
        raise
    except torch.OutOfMemoryError:
        raise InputError(f"{checkpoint.source!r} in {dtype} does not fit into {device}'s memory", "pair") from None
    except Exception as error:
        raise InputError(
            f"{checkpoint.source!r} cannot be loaded as a causal language model: {shorten(str(error), 160)}", "pair"
        ) from error
