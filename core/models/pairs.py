"""The registry of model pairs: what can be compared, where its weights are, how much memory it needs.

Reads `core/pairs.toml` and, where given, a user's own file of the same form. Loads no model.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.experiment import DTYPES, Experiment, InputError, shorten
from core.models.places import absolute, is_path, last_part, local_path

REAL, EMBEDDED = "smollm2-rephrase", "tiny"
REGISTRY = Path(__file__).parents[1] / "pairs.toml"
QUANTIZATIONS = {"8bit": 1.0, "4bit": 0.5}  # bytes a weight
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder with gated MLPs. tied: the unembedding is the embedding."""

    layers: int
    d_model: int
    heads: int
    kv_heads: int
    d_head: int
    d_mlp: int
    vocab: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Number of weights, norms left out."""
        attention = self.d_model * self.d_head * 2 * (self.heads + self.kv_heads)
        mlp = 3 * self.d_model * self.d_mlp
        return self.layers * (attention + mlp) + self.vocab * self.d_model * (1 if self.tied else 2)


@dataclass(frozen=True)
class PairSpec:
    """One pair. base, instruct: a hub name, the absolute path of a folder or GGUF file, or a file of a package."""

    id: str
    title: str
    base: str
    instruct: str
    dtype: str = "float32"
    base_revision: str = "main"
    instruct_revision: str = "main"
    quantization: str = ""
    note: str = ""
    shape: Shape | None = None

    def bytes_needed(self, dtype: str = "", in_turns: bool = False) -> int | None:
        """Memory of both models' weights, computed from the shape; None where there is none. in_turns: of one model's.

        An adapter's model shares all that the adapter does not change; the rest is known only once its file is read.
        """
        shape = self.shape
        if shape is None:
            return None
        embedding = shape.vocab * shape.d_model * (1 if shape.tied else 2)
        adapted = any(Path(name, "adapter_config.json").is_file() for name in (self.base, self.instruct))
        whole = held_bytes(shape.parameters, embedding, dtype or self.dtype, self.quantization)
        return whole if adapted or in_turns else 2 * whole


def held_bytes(parameters: int, embedding: int, dtype: str, quantization: str) -> int:
    """Memory of a model's weights; embedding: how many of them embed and unembed, which are never quantized."""
    linear = QUANTIZATIONS[quantization] if quantization else BYTES[dtype]
    return int((parameters - embedding) * linear + embedding * BYTES[dtype])


def read_pairs(path: Path) -> dict[str, PairSpec]:
    """The pairs of one file by id, or an `InputError` that names the file and the entry."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no pairs file {str(path)!r}; correct REPHRASE_PAIRS", "pair") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the pairs file {str(path)!r} cannot be read: {error}", "pair") from None
    if (other := sorted(set(read) - {"pair"})) or not isinstance(read.get("pair", []), list):
        raise InputError(
            f"the pairs file {str(path)!r} has {(other or ['[pair]'])[0]!r}; write [[pair]] entries", "pair"
        )
    pairs = {}
    for number, entry in enumerate(read.get("pair", []), 1):
        if not isinstance(entry, dict):
            raise InputError(
                f"pair {number} in {path}: {shorten(repr(entry))} is no table; write [[pair]] and its keys below",
                "pair",
            )
        spec = _spec(entry, f"pair {number} ({entry.get('id', 'without id')}) in {path}", path.parent)
        if spec.id in pairs:
            raise InputError(f"the id {spec.id!r} is given twice in {path}", "pair")
        pairs[spec.id] = spec
    return pairs


def _spec(entry: dict[str, Any], where: str, folder: Path) -> PairSpec:
    entry = dict(entry)
    known = {field.name for field in fields(PairSpec)}
    if unknown := sorted(set(entry) - known):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}", "pair")
    texts = known - {"shape"}
    if wrong := sorted(name for name in texts & set(entry) if not isinstance(entry[name], str)):
        raise InputError(f"{where}: {wrong[0]!r} is no text but {entry[wrong[0]]!r}; put it in quotes", "pair")
    if missing := [name for name in ("id", "base", "instruct") if not str(entry.get(name, "")).strip()]:
        raise InputError(f"{where}: {missing[0]!r} is missing", "pair")
    if entry.get("dtype", "float32") not in DTYPES:
        raise InputError(f"{where}: dtype {entry['dtype']!r} is not one of {', '.join(DTYPES)}", "pair")
    if entry.get("quantization") and entry["quantization"] not in QUANTIZATIONS:
        kinds = ", ".join(QUANTIZATIONS)
        raise InputError(f"{where}: quantization {entry['quantization']!r} is not one of {kinds}", "pair")
    if "shape" in entry:
        entry["shape"] = _shape(entry["shape"], where)
    for name in ("base", "instruct"):
        entry[name] = absolute(entry[name], folder)
    return PairSpec(**{"title": entry["id"], **entry})


def _shape(given: object, where: str) -> Shape:
    sizes = [field.name for field in fields(Shape) if field.name != "tied"]
    remedy = f"write {{ {', '.join(f'{name} = …' for name in sizes)}, tied = true or false }}"
    if not isinstance(given, dict) or given.keys() != {*sizes, "tied"}:
        raise InputError(f"{where}: shape {shorten(repr(given))} has not the keys of a shape; {remedy}", "pair")
    for name in sizes:
        # In Python true is a whole number too.
        if type(given[name]) is not int or given[name] < 1:
            raise InputError(f"{where}: shape: {name} = {given[name]!r} is no whole number above 0; {remedy}", "pair")
    if not isinstance(given["tied"], bool):
        raise InputError(f"{where}: shape: tied = {given['tied']!r} is neither true nor false; {remedy}", "pair")
    return Shape(**given)


@lru_cache(maxsize=8)
def _registry(extra: str) -> dict[str, PairSpec]:
    pairs = read_pairs(REGISTRY)
    return pairs | read_pairs(Path(extra).expanduser()) if extra else pairs


def registry(extra: str = "") -> dict[str, PairSpec]:
    """Every known pair by id; `extra` is the path of a user's own file, whose ids win."""
    return dict(_registry(extra))


def lacking(spec: PairSpec) -> str:
    """What of a pair's local files is not on this machine, with the remedy; "" where nothing is known to be missing."""
    for name in (spec.base, spec.instruct):
        try:
            if is_path(name) and not local_path(name).exists():
                return f"{name!r} is not there; fetch it, or correct its place in the pairs file"
        except InputError as error:
            return str(error)
        except OSError as error:
            return f"{name!r} cannot be looked at: {error.strerror}; correct its rights, or its place in the pairs file"
    return ""


def default_pair(chosen: str | None = None, extra: str = "") -> str:
    """The id of the pair that is shown first: the chosen one, else the real pair where its files are there."""
    pairs = registry(extra)
    if chosen and chosen not in pairs:
        raise InputError(f"REPHRASE_PAIR is {chosen!r}; choose one of: {', '.join(pairs)}", "pair")
    return chosen or (EMBEDDED if lacking(pairs[REAL]) else REAL)


def find_pair(experiment: Experiment, extra: str = "", only_listed: bool = False) -> PairSpec:
    """The pair an experiment names: an id of the registry, or two models given by name or folder."""
    pairs = registry(extra)
    if not (experiment.base or experiment.instruct):
        if experiment.pair in pairs:
            return pairs[experiment.pair]
        raise InputError(f"there is no pair {experiment.pair!r}; choose one of: {', '.join(pairs)}", "pair")
    if only_listed:
        raise InputError("here only listed pairs can be loaded; choose one of: " + ", ".join(pairs), "pair")
    if not (experiment.base and experiment.instruct):
        missing = "instruct" if experiment.base else "base"
        raise InputError(f"two models are compared: name the {missing} model too", "pair")
    places = [absolute(name, Path()) for name in (experiment.base, experiment.instruct)]
    title = " → ".join(map(last_part, places))
    base, instruct = places
    return PairSpec(f"{base}|{instruct}", title, base, instruct, dtype=experiment.dtype or "float32")
