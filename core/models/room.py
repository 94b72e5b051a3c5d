"""What a pair takes of a device, and whether that is there: both models at once, or one at a time.

Sizes come from the registry and from the files' headers; no weight is read and torch is not needed. Two models that do
not fit at once can take turns (`core.models.turns`): the device then holds one, the CPU's memory both.
"""

from __future__ import annotations

from core.experiment import InputError
from core.models.checkpoint import Checkpoint
from core.models.gguf import weights_in
from core.models.memory import GB, SHARE, free_bytes
from core.models.pairs import BYTES, PairSpec, held_bytes
from core.models.places import gguf_file

# Beside the weights: activations of a prompt, a readout's slice, allocator slack.
_SLACK_BYTES = 300_000_000

Checkpoints = tuple[Checkpoint, Checkpoint]


def bytes_known(spec: PairSpec, dtype: str, in_turns: bool = False) -> int:
    """What a pair takes at least, as far as that is known before a download or a dequantization; 0 where it is not.

    in_turns: on a device that holds one of the models at a time.
    """
    need = spec.bytes_needed(dtype, in_turns)
    if need is not None:
        return need
    files = [file for name in (spec.base, spec.instruct) if (file := gguf_file(name)) is not None]
    weights = [weights_in(file) for file in files]
    return held_bytes(max(weights, default=0) if in_turns else sum(weights), 0, dtype, spec.quantization)


def least_known(spec: PairSpec, dtype: str) -> int:
    """`bytes_known` of the leanest way in which the pair can run: packed weights cannot take turns."""
    return bytes_known(spec, dtype, in_turns=not spec.quantization)


def bytes_needed(checkpoints: Checkpoints, dtype: str, quantization: str = "", in_turns: bool = False) -> int:
    """Memory that both models take in a dtype, with room for the activations of a prompt; shared weights count once.

    in_turns: what they take of a device that holds one at a time, and of the other what comparisons read beside it.
    """
    if in_turns:
        largest = max(checkpoints, key=lambda c: c.parameters)
        return (largest.parameters + largest.embedding) * BYTES[dtype] + _SLACK_BYTES
    weights = (
        held_bytes(c.parameters - c.shared, c.embedding if quantization else 0, dtype, quantization)
        for c in checkpoints
    )
    return sum(weights) + _SLACK_BYTES


def must_take_turns(checkpoints: Checkpoints, dtype: str, quantization: str, room: int) -> bool:
    """Whether a device with `room` bytes holds one of the models, but not both; packed weights cannot be moved."""
    if quantization:
        return False
    return bytes_needed(checkpoints, dtype, in_turns=True) <= room < bytes_needed(checkpoints, dtype)


def check_known(spec: PairSpec, dtype: str, device: str, limit: int | None = None) -> None:
    """Refuse what is known not to fit before a download of many gigabytes, or a dequantization of minutes.

    limit: bytes that the pair may take, by default what the device has free.
    """
    sizes, (free, told) = (bytes_known(spec, dtype), least_known(spec, dtype)), _free(device, limit)
    _check(spec, dtype, sizes, not spec.quantization, free, told)
    check_home(spec, dtype, free)


def check_home(spec: PairSpec, dtype: str, room: float) -> None:
    """Refuse what is known to fit at once neither into the `room` bytes of the device nor into the CPU's memory."""
    sizes = bytes_known(spec, dtype), least_known(spec, dtype)
    if sizes[0] > room:
        _check_home(spec, dtype, sizes)


def check_room(
    spec: PairSpec, checkpoints: Checkpoints, dtype: str, device: str, limit: int | None, in_turns: bool
) -> None:
    """Refuse what does not fit; where models take turns, also what does not fit into the CPU's memory."""
    need = bytes_needed(checkpoints, dtype, spec.quantization)
    sizes = need, need if spec.quantization else bytes_needed(checkpoints, dtype, in_turns=True)
    _check(spec, dtype, sizes, in_turns, *_free(device, limit))
    if in_turns:
        _check_home(spec, dtype, sizes)


def _check_home(spec: PairSpec, dtype: str, sizes: tuple[int, int]) -> None:
    room = SHARE * free_bytes("cpu")
    _check(spec, dtype, sizes, False, room, f"the CPU's memory has {room / GB:.1f} GB for both meanwhile")


def _free(device: str, limit: int | None) -> tuple[float, str]:
    """Bytes, and how to tell of them."""
    if limit is None:
        free = free_bytes(device)
        return free, f"{device} has {free / GB:.1f} GB free"
    return limit, f"{device} has {limit / GB:.1f} GB left of REPHRASE_MEMORY_GB"


def _check(spec: PairSpec, dtype: str, sizes: tuple[int, int], in_turns: bool, free: float, told: str) -> None:
    """sizes: of both models at once, and of one at a time."""
    both, one = sizes
    if (one if in_turns else both) > free:
        alone = f", {one / GB:.1f} GB with one model at a time" if one < both else ""
        raise InputError(
            f"{spec.title} in {dtype} needs {both / GB:.1f} GB{alone}; {told}; choose a smaller pair or dtype", "pair"
        )
