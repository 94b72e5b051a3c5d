"""A model's files, before any weight is read: are they whole, how large is it, can two be compared?

Safetensors, or GGUF where asked for. Each refusal is an `InputError` on the field "pair" that says what is wrong and
what to do. A hub model and a GGUF file are first brought to a local folder; from there on there is one way of loading.
One of two models may be an adapter, which is merged into the other one's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from core.experiment import InputError
from core.models.adapters import Adapter, check_fits, is_adapter, read_adapter
from core.models.gguf import dequantized
from core.models.hub import download
from core.models.places import gguf_file, is_path, local_path
from core.models.promised import check_promised
from core.models.weight_files import read_json, weight_shapes, weights_hash
from core.settings import DEFAULT_CACHE

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
    """A checked model. source: as the user named it; revision: the hub's commit, "" for local files.

    folder: config and weights; for an adapter those of the model that it is merged into. parameters: all its weights.
    shared: how many of them are the other model's own, held in memory once. file_sha256: of the GGUF file, else "".
    """

    source: str
    folder: Path
    revision: str
    config: dict[str, Any]
    parameters: int
    shared: int = 0
    adapter: Adapter | None = None
    file_sha256: str = ""

    @property
    def embedding(self) -> int:
        """How many weights embed and unembed."""
        text = self.config.get("text_config", self.config)
        one = text.get("vocab_size", 0) * text.get("hidden_size", 0)
        return min(self.parameters, int(one if text.get("tie_word_embeddings") else 2 * one))

    @property
    def tokenizer_folder(self) -> Path:
        """The adapter's own tokenizer, where it has a whole one."""
        own = self.adapter and self.adapter.folder
        parts = ("tokenizer.json", "tokenizer_config.json")
        return own if own and all((own / part).is_file() for part in parts) else self.folder

    def identity(self) -> dict[str, str]:
        """What names these numbers for good: the hub's commit, or hashes; an adapter's beside its model's."""
        if self.file_sha256:
            named = {"file_sha256": self.file_sha256}
        elif self.revision and not self.adapter:
            named = {"revision": self.revision}
        else:
            named = {"weights_sha256": weights_hash(self.folder)}
        if self.adapter is None:
            return named
        commit = {"adapter_revision": self.revision} if self.revision else {}
        return {"adapter_sha256": weights_hash(self.adapter.folder), **commit, **named}


class Place(NamedTuple):
    """Where a model or adapter is: its local folder, its commit on the hub, the hash of its GGUF file; else ""."""

    folder: Path
    commit: str = ""
    file_sha256: str = ""


Progress = Callable[[str], None]
Bring = Callable[[tuple[str, str], tuple[str, str], Path, Progress], tuple[Place, Place]]


def bring_both(
    sources: tuple[str, str], revisions: tuple[str, str], cache: Path, progress: Progress
) -> tuple[Place, Place]:
    """Both to local folders: what is not in the hub's cache is downloaded, what is not in `cache` dequantized.

    Needs no device and may take minutes.
    """
    base, instruct = (_bring(source, revision, cache, progress) for source, revision in zip(sources, revisions))
    return base, instruct


def is_at_hand(source: str) -> bool:
    """Whether a model is a local folder already: it takes no bringing."""
    return is_path(source) and gguf_file(source) is None


def find_both(
    sources: tuple[str, str],
    revisions: tuple[str, str],
    cache: Path = DEFAULT_CACHE,
    progress: Progress = lambda message: None,
    bring: Bring = bring_both,
) -> tuple[Checkpoint, Checkpoint]:
    """Two checked models that can be compared, of which one may be an adapter made for the other one.

    bring: what finds or makes their local folders.
    """
    placed = bring(sources, revisions, cache, progress)
    adapters = [is_adapter(folder) for folder, _, _ in placed]
    if all(adapters):
        raise InputError(f"{sources[0]!r} and {sources[1]!r} are both adapters; name a whole model as one", "pair")
    found = [
        None if is_one else Checkpoint(source, folder, commit, _config(folder), _count(folder), file_sha256=sha256)
        for source, (folder, commit, sha256), is_one in zip(sources, placed, adapters)
    ]
    whole = found[0] or found[1]
    assert whole is not None
    base, instruct = (
        checkpoint or _adapted(whole, source, folder, commit)
        for checkpoint, source, (folder, commit, _) in zip(found, sources, placed)
    )
    check_comparable(base, instruct)
    for checkpoint in filter(None, found):
        check_promised(checkpoint.source, checkpoint.config, weight_shapes(checkpoint.folder))
    return base, instruct


def check_comparable(base: Checkpoint, instruct: Checkpoint) -> None:
    """Refuse two models whose configs already say that their heads do not correspond."""
    check_same_sizes(*({name: _size(c.config, key) for key, name in _COMPARED.items()} for c in (base, instruct)))


def check_same_sizes(base: Mapping[str, int | None], instruct: Mapping[str, int | None]) -> None:
    """Refuse two models of different sizes (name → size), saying which differs and how."""
    for name in base:
        if base[name] != instruct[name]:
            raise InputError(
                f"the two models cannot be compared: BASE has {base[name]} {name}, INSTRUCT has {instruct[name]}; "
                "choose a model and its own fine-tune",
                "pair",
            )


def _bring(source: str, revision: str, cache: Path, progress: Progress) -> Place:
    if not is_path(source):
        folder = download(source, revision, progress)
        return Place(folder, commit=folder.name)
    if (file := gguf_file(source)) is not None:
        folder, sha256 = dequantized(file, cache, progress)
        return Place(folder, file_sha256=sha256)
    return Place(local_path(source))


def _adapted(whole: Checkpoint, source: str, folder: Path, commit: str) -> Checkpoint:
    adapter = read_adapter(folder, source)
    shapes = weight_shapes(whole.folder)
    check_fits(adapter, whole.source, whole.folder, whole.file_sha256, whole.config, shapes)
    changed = sum(prod(shapes[f"{module}.weight"]) for module in adapter.ranks)
    return replace(whole, source=source, revision=commit, shared=whole.parameters - changed, adapter=adapter)


def _size(config: dict[str, Any], key: str) -> int | None:
    text: dict[str, int | None] = config.get("text_config", config)
    if key == "num_key_value_heads":
        return text.get(key) or text.get("num_attention_heads")
    if key == "head_dim" and not text.get(key):
        return (text.get("hidden_size") or 0) // (text.get("num_attention_heads") or 1)
    return text.get(key)


def _config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}; give the folder that holds config.json", "pair")
    path = folder / "config.json"
    if not path.is_file():
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
        raise InputError(f"the folder {str(folder)!r} holds no config.json (it holds: {held})", "pair")
    return read_json(path)


def _count(folder: Path) -> int:
    return sum(map(prod, weight_shapes(folder).values()))
