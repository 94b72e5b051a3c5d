"""What this process holds and does now, for its page of state. Read from any thread; imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import version

import psutil

from cache.models import Resident
from cache.service import Service
from cache.store import StoreStats
from cache.worker import Status
from core.experiment import Experiment, InputError, shorten
from core.models.memory import free_bytes
from core.patching.floor import NoiseFloor
from core.patching.results import Sweep

LIBRARIES = (
    "streamlit", "torch", "transformer_lens", "transformers", "tokenizers", "safetensors", "peft", "gguf", "numpy",
    "plotly", "circuitsvis",
)  # fmt: skip


@dataclass(frozen=True)
class Floor:
    """The noise floor of one finished sweep; prompt: its beginning."""

    pair: str
    prompt: str
    site: str
    direction: str
    floor: NoiseFloor


@dataclass(frozen=True)
class Inspection:
    """device: "" while torch sleeps or where this machine has not the one that is wanted, which no_device says; then
    free_bytes is None. residents: pairs in memory.

    used_bytes: of this process. stores: this machine's store first, where there is one, then the bundles beside it.
    """

    device: str
    no_device: str
    free_bytes: int | None
    budget_bytes: int | None
    used_bytes: int
    residents: tuple[Resident, ...]
    worker: Status
    stores: tuple[StoreStats, ...]


def inspect(service: Service) -> Inspection:
    device, no_device = _device(service.settings.device)
    residents = service.stages.residents
    return Inspection(
        device=device,
        no_device=no_device,
        free_bytes=free_bytes(device) if device else None,
        budget_bytes=residents.budget_known,
        used_bytes=psutil.Process().memory_info().rss,
        residents=residents.snapshot(),
        worker=service.worker.status(),
        stores=tuple(store.stats() for store in service.answers.places),
    )


def _device(wanted: str) -> tuple[str, str]:
    """The device, and why there is none."""
    pick = getattr(sys.modules.get("core.models.loading"), "pick_device", None)
    # Absent too while another thread is still importing it.
    try:
        return (pick(wanted) if pick else ""), ""
    except InputError as error:
        return "", f"{error}: REPHRASE_DEVICE is {wanted!r}"


def versions() -> dict[str, str]:
    """Of Python and of the libraries that the numbers and the figures come from."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}


def floors(service: Service) -> tuple[Floor, ...]:
    """Of the sweeps that are kept in memory, the latest last."""
    found = []
    for key, sweep in service.worker.results().items():
        if isinstance(sweep, Sweep) and isinstance(key, tuple):
            experiment: Experiment = key[1]
            prompt = shorten(experiment.prompt or f"{experiment.instruction}: {experiment.sentence}", 70)
            pair = experiment.pair or f"{experiment.base} → {experiment.instruct}"
            found.append(Floor(pair, prompt, sweep.site, sweep.gap.direction, sweep.gap.floor))
    return tuple(found)
