"""Whether a pair can be had on this machine, before anybody asks for it. Reads names of files; loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

from core.experiment import InputError
from core.models.memory import GB
from core.models.pairs import EMBEDDED, PairSpec, lacking
from core.models.places import is_path
from core.models.room import least_known


@dataclass(frozen=True)
class Standing:
    """kind: "here", "download", "missing" or "too large". text: the same for a reader; toy: whether the pair is one."""

    kind: str
    text: str
    toy: bool = False


def standing(spec: PairSpec, room: int | None = None, dtype: str = "") -> Standing:
    """room: bytes that a pair may take, None while that is not known. dtype: "" for the pair's own."""
    toy = spec.id == EMBEDDED
    if lacking(spec):
        return Standing("missing", "not installed", toy)
    try:
        need = least_known(spec, dtype or spec.dtype)
    except InputError as error:
        return Standing("missing", str(error), toy)
    if room is not None and need > room:
        # Rounded apart: the two must not read alike.
        needs, there = ceil(10 * need / GB) / 10, floor(10 * room / GB) / 10
        return Standing("too large", f"cannot run here: needs {needs:.1f} GB, {there:.1f} GB are there", toy)
    if absent := [name for name in (spec.base, spec.instruct) if not is_path(name) and not _in_the_hubs_cache(name)]:
        size = _download(spec, len(absent))
        return Standing("download", f"needs a download{f' of {size / GB:.1f} GB' if size else ''}", toy)
    return Standing("here", "is here", toy)


def _download(spec: PairSpec, models: int) -> int | None:
    """Two bytes a weight, as the hub has nearly all of them; None where their number is not known."""
    return models * spec.shape.parameters * 2 if spec.shape else None


def _in_the_hubs_cache(name: str) -> bool:
    """Whether weights of a hub's model have come, of whichever revision."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(folder.glob("*/*.safetensors"))
