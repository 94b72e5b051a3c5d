"""A LoRA adapter in PEFT's format, before any weight is read: is it whole, and made for this model?

W_merged = W + s · B A for each module that it names, with s as its config says; nothing else of the model changes. What
an adapter may carry beyond that (biases, whole modules, DoRA, …) is refused, never left out. Safetensors only.

**Made for this model** by name: the config records the name of the model that it was trained on. That name fits where
its last part is the last part of a name that the model here has, whatever folder or account it lies under, case,
punctuation and the mark of a quantization aside; or where it is the path of a folder that holds the very same weights;
or where the config states `base_sha256`, the model's hash in the manifest (of the GGUF file, or of the weight files).
By shape: every module is there, with the sizes that the adapter's matrices have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.experiment import InputError, shorten
from core.models.places import last_part
from core.models.weight_files import read_json, shapes_in, weights_hash

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Keys of the config that say how it was trained, or which PEFT's merge follows; every other one must be off.
_FOLLOWED = {
    *(
        "peft_type",
        "task_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
    ),
    *("r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("rank_pattern", "alpha_pattern", "use_rslora", "init_lora_weights", "bias", "base_sha256"),
    *("megatron_core", "qalora_group_size", "loftq_config", "eva_config", "corda_config", "lora_ga_config"),
}
# Ways of starting that leave the model's own weights as they are; the others train against changed ones.
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")
_QUANTIZED = re.compile(
    r"(?i)(unsloth)?(bnb4bit|bnb8bit|gguf|gptq|awq|i?q\d(k[sml]?|[01])?|i?q\dx*[sml]|bf16|f(p)?(16|32))$"
)


# A pattern that repeats a group, or repeats in more places, may take for ever on a name that it does not fit.
_GROUP_REPEATED, _REPEATED, _REPEATS = re.compile(r"\)[*+?{]"), re.compile(r"[*+{]"), 3


@dataclass(frozen=True)
class Adapter:
    """A checked adapter. trained_on: the name that it records, or ""; ranks: module → rank of its B A."""

    source: str
    folder: Path
    trained_on: str
    base_sha256: str
    ranks: Mapping[str, int]
    sizes: Mapping[str, tuple[int, int]]


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter; one that holds a whole model too is refused."""
    if not (folder / CONFIG).is_file():
        return False
    if (folder / "config.json").is_file() and any(folder.glob("model*.safetensors")):
        # The loader of whole models would merge it without being asked.
        raise InputError(f"{str(folder)!r} holds both a model and an adapter; give each a folder of its own", "pair")
    return True


def read_adapter(folder: Path, source: str) -> Adapter:
    """The adapter of a folder, or an `InputError` where it is no plain LoRA or not whole."""
    config = read_json(folder / CONFIG)
    _check_plain(config, source)
    sides: dict[str, dict[str, tuple[int, ...]]] = {"A": {}, "B": {}}
    for key, shape in shapes_in(_weights(folder, source)).items():
        match = _KEY.fullmatch(key)
        if match is None or len(shape) != 2:
            raise InputError(f"the adapter {source!r} holds {shorten(key)!r}, which is no part of a LoRA", "pair")
        sides[match["side"]][match["module"]] = shape
    if lone := sorted(sides["A"].keys() ^ sides["B"].keys()):
        raise InputError(
            f"the adapter {source!r} lacks a half of {lone[0]!r} (lora_A and lora_B belong together)", "pair"
        )
    if not sides["A"]:
        raise InputError(f"the adapter {source!r} holds no LoRA weights; fetch or save it again", "pair")
    ranks = {}
    for module, (rank, _) in sides["A"].items():
        stated = _stated_rank(config, module)
        if not rank == sides["B"][module][1] == stated:
            raise InputError(
                f"the adapter {source!r} has rank {rank} × {sides['B'][module][1]} at {module!r}, its config says "
                f"{stated}; fetch or save it again",
                "pair",
            )
        ranks[module] = rank
    sizes = {module: (sides["B"][module][0], sides["A"][module][1]) for module in ranks}
    name, sha256 = (str(config.get(key) or "") for key in ("base_model_name_or_path", "base_sha256"))
    return Adapter(source, folder, name, sha256, ranks, sizes)


def check_fits(
    adapter: Adapter,
    base: str,
    folder: Path,
    file_sha256: str,
    config: dict[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuse an adapter of another model. base: the model's name; folder: its files; shapes: of its weights by name."""
    if not _is_named(adapter, base, folder, file_sha256, config):
        name = adapter.trained_on
        made_for = repr(shorten(name)) if name else f"a model of the hash {shorten(adapter.base_sha256)!r}"
        raise InputError(
            f"the adapter {adapter.source!r} was made for {made_for}, not for {shorten(base)!r}; "
            f"name that model, or where it is the same, its base_model_name_or_path in {CONFIG}",
            "pair",
        )
    for module, size in adapter.sizes.items():
        there = shapes.get(f"{module}.weight")
        if there != size:
            found = "there is none" if there is None else f"it has {' × '.join(map(str, there))}"
            raise InputError(
                f"the adapter {adapter.source!r} changes {module!r} of {size[0]} × {size[1]} weights, in "
                f"{shorten(base)!r} {found}; choose the model that it was made for",
                "pair",
            )
    if config.get("tie_word_embeddings") and (
        tied := [m for m in adapter.ranks if m.endswith(("lm_head", "embed_tokens"))]
    ):
        raise InputError(
            f"the adapter {adapter.source!r} changes {tied[0]!r}, which in {shorten(base)!r} is embedding and "
            "unembedding in one; such an adapter cannot be merged",
            "pair",
        )


def _weights(folder: Path, source: str) -> Path:
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    pickled = next(iter(sorted(folder.glob("*.bin"))), None)
    hint = f" ({pickled.name!r} is a pickle, which can run code: save it with safe_serialization)" if pickled else ""
    raise InputError(f"the adapter {source!r} holds no {WEIGHTS}; only safetensors are loaded{hint}", "pair")


def _check_plain(config: dict[str, Any], source: str) -> None:
    if config.get("peft_type") != "LORA":
        kind = shorten(str(config.get("peft_type")))
        raise InputError(f"{source!r} is an adapter of the kind {kind}; only LoRA adapters can be merged", "pair")
    extra = next((key for key, value in config.items() if key not in _FOLLOWED and value), None)
    if config.get("bias", "none") != "none":
        extra = "bias"
    if config.get("init_lora_weights", True) not in _PLAIN_STARTS:
        extra = "init_lora_weights"
    if extra:
        raise InputError(
            f"the adapter {source!r} has {extra} = {shorten(str(config[extra]))!r}; only plain LoRA can be merged: "
            "merge it yourself and name the folder of the merged model",
            "pair",
        )
    if endless := next(filter(_may_be_endless, _patterns(config)), None):
        raise InputError(
            f"the {CONFIG} of {source!r} names modules by {shorten(endless)!r}, which may be compared for ever; write "
            "their names out",
            "pair",
        )
    if not isinstance(config.get("r"), int):
        raise InputError(f"the {CONFIG} of {source!r} states no rank r; fetch or save it again", "pair")
    try:
        _stated_rank(config, "")
    except (AttributeError, TypeError, re.error):
        raise InputError(
            f"the {CONFIG} of {source!r} has rank_pattern = {shorten(str(config['rank_pattern']))!r}, which gives no "
            "ranks by pattern; fetch or save it again",
            "pair",
        ) from None


def _patterns(config: dict[str, Any]) -> Iterator[str]:
    """What the config would have compared with the names of modules, as far as it is a pattern."""
    for key in ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern"):
        found = config.get(key)
        several = found if isinstance(found, list | dict) else [found]
        yield from (each for each in several if isinstance(each, str))


def _may_be_endless(pattern: str) -> bool:
    return bool(_GROUP_REPEATED.search(pattern)) or len(_REPEATED.findall(pattern)) > _REPEATS


def _stated_rank(config: dict[str, Any], module: str) -> int:
    """r, or the rank that the config's pattern gives this module, matched as PEFT does."""
    for pattern, rank in (config.get("rank_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return int(rank)
    return int(config["r"])


def _is_named(adapter: Adapter, base: str, folder: Path, file_sha256: str, config: dict[str, Any]) -> bool:
    if not (adapter.trained_on or adapter.base_sha256):
        return True
    names = {base, str(folder), str(config.get("_name_or_path", "")), str(config.get("_model_name_or_path", ""))}
    # A folder of the hub's cache: models--account--name/snapshots/commit.
    names |= {part.replace("--", "/") for part in folder.parts if part.startswith("models--")}
    if _bare(adapter.trained_on) in {_bare(name) for name in names} - {""}:
        return True
    if adapter.base_sha256:
        return adapter.base_sha256 == (file_sha256 or weights_hash(folder))
    recorded = Path(adapter.trained_on).expanduser()
    return recorded.is_dir() and any(recorded.glob("*.safetensors")) and weights_hash(recorded) == weights_hash(folder)


def _bare(name: str) -> str:
    """The last part of a name in small letters and digits, without the mark of a quantization."""
    last = re.sub(r"(?i)\.gguf$", "", last_part(name.rstrip("/\\")))
    bare = re.sub(r"[^a-z0-9]", "", last.lower())
    while (shorter := _QUANTIZED.sub("", bare)) not in (bare, ""):
        bare = shorter
    return bare
