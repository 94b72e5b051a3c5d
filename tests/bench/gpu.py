"""`python -m tests.bench.gpu`: a random pair of 8B in bf16 on a GPU. One JSON on stdout, then a table for the README.

The pair has the sizes of Llama-3.1-8B and is made on the device, so nothing is downloaded and the host holds no copy of
it. Numbers of time are of a device that has been waited for; ratios are within this run. TransformerLens' function runs
all layers alike, so it is measured on some and multiplied up. Plain forwards are those of BASE before it becomes a
bridge, in batches as large as a sweep's chunks.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from transformer_lens.model_bridge import TransformerBridge

from core.models.memory import GB, free_bytes
from core.patching.budget import Budget, default_budget
from core.patching.sweeps import Recordings, sweep
from core.prompt import Prompt
from core.recording import Recording, record
from tests.bench import gpu_app
from tests.bench.bench_patching import plain_forwards, row_layers, transformer_lens
from tests.random_tokenizers import byte_level

REFUSAL = "not measured on a GPU: torch finds no CUDA device here"
SITES = ("z", "v")
Models = tuple[transformers.PreTrainedModel, transformers.PreTrainedModel]


@dataclass(frozen=True)
class Size:
    """Sizes of both models, of the prompt, and of what is measured: chunk sizes in tokens, sampled layers, repeats."""

    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    d_model: int = 4096
    d_head: int = 128
    d_mlp: int = 14336
    vocab: int = 128256
    tokens: int = 27
    chunks: tuple[int, ...] = (2048, 4096, 8192, 16384, 32768)
    sampled: tuple[int, ...] = (0, 15, 31)
    repeats: int = 3

    @property
    def config(self) -> transformers.LlamaConfig:
        return transformers.LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.d_model,
            intermediate_size=self.d_mlp,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.d_head,
            max_position_embeddings=2048,
            tie_word_embeddings=False,
        )

    @property
    def parameters(self) -> int:
        attention = 2 * self.d_model * self.d_head * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.d_model * self.d_mlp) + 2 * self.vocab * self.d_model


@torch.no_grad()
def random_models(size: Size, device: str, dtype: torch.dtype, seed: int = 0) -> Models:
    """BASE, and an INSTRUCT near it: every matrix drawn on the device, of such a size that a patch moves the logits."""
    generator = torch.Generator(device).manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            base = transformers.LlamaForCausalLM(size.config).eval()
    finally:
        torch.set_default_dtype(before)
    for weight in base.parameters():
        if weight.ndim > 1:
            weight.normal_(0, weight.shape[-1] ** -0.5, generator=generator)
    instruct = copy.deepcopy(base)
    for weight in instruct.parameters():
        weight.add_(
            torch.randn(weight.shape, generator=generator, device=device, dtype=dtype), alpha=0.2 * size.d_model**-0.5
        )
    return base, instruct


def bridge(model: transformers.PreTrainedModel, device: str) -> TransformerBridge:
    """The raw bridge of a model where it is; any tokenizer will do, for the prompt is ids."""
    dtype, tokenizer = next(model.parameters()).dtype, byte_level()
    # Else the bridge looks for a tokenizer of this name.
    tokenizer.init_kwargs |= {"name_or_path": "", "add_bos_token": True}
    made = TransformerBridge.boot_transformers("random", hf_model=model, tokenizer=tokenizer, dtype=dtype)
    made.cfg.device = device
    return made


def prompt_of(size: Size) -> Prompt:
    ids = tuple(range(10, 10 + size.tokens))
    roles = {"bos": None, "original": 3, "colon": 2, "end": size.tokens - 1, "picked": None}
    return Prompt("", ids, tuple(map(str, ids)), roles, (2,), " a", 5, " b", 7)


def seconds(work: Callable[[], object], device: str, repeats: int) -> float:
    """Median, after one warm-up; a GPU is waited for before and after."""

    def wait() -> None:
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    took = []
    for _ in range(1 + repeats):
        wait()
        start = time.perf_counter()
        work()
        wait()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def peak_bytes(work: Callable[[], object], device: str) -> int | None:
    """The most that torch held at once on a GPU during `work`, weights included; None elsewhere."""
    if torch.device(device).type != "cuda":
        work()
        return None
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device)


def measure(size: Size, device: str, dtype: torch.dtype) -> dict:
    """Every number of the table; bytes are None where torch does not count them."""
    prompt, models = prompt_of(size), random_models(size, device, dtype)
    forwards = _plain(size, models[0], prompt, device)
    bridges = [bridge(model, device) for model in models]

    def record_both() -> tuple[Recording, Recording]:
        return record(bridges[0], prompt.ids), record(bridges[1], prompt.ids)

    runs = record_both()
    found = {
        "size": asdict(size),
        "parameters": sum(weight.numel() for weight in models[0].parameters()),
        "device": name_of(device),
        "dtype": str(dtype).removeprefix("torch."),
        "two_plain_forwards_seconds": 2 * forwards["one"],
        "record_both_seconds": seconds(record_both, device, size.repeats),
        "record_both_peak_bytes": peak_bytes(record_both, device),
    }
    for site in SITES:
        found[site] = _sweep(size, runs, prompt, site, device) | {"plain_forwards_seconds": forwards[site]}
    found["chunks"] = [_chunk(tokens, size, runs, prompt, device) for tokens in size.chunks]
    return found


def _plain(size: Size, model: transformers.PreTrainedModel, prompt: Prompt, device: str) -> dict[str, float]:
    """Seconds of one plain forward, and of as many row-layers as each site's sweep runs."""
    model.set_attn_implementation("sdpa")
    ids, layers = torch.tensor([prompt.ids], device=device), size.layers * (size.layers + 1) // 2
    with torch.no_grad():
        found = {"one": seconds(lambda: model(ids, use_cache=False), device, size.repeats)}
    for site, columns in (("z", size.heads), ("v", size.kv_heads)):
        found[site] = seconds(plain_forwards(model, prompt, columns * layers), device, size.repeats)
    model.set_attn_implementation("eager")
    return found


def _sweep(size: Size, runs: Recordings, prompt: Prompt, site: str, device: str) -> dict:
    done = sweep(runs, prompt, site)
    loop = seconds(transformer_lens(runs, prompt, site, size.sampled), device, 1) * size.layers / len(size.sampled)
    return {
        "seconds": seconds(lambda: sweep(runs, prompt, site), device, size.repeats),
        "transformer_lens_seconds": loop,
        "row_layers": row_layers(runs, site),
        "peak_bytes": peak_bytes(lambda: sweep(runs, prompt, site), device),
        "largest_effect": float(abs(done.effect).max()),
        "noise_floor": float(done.gap.floor.highest),
    }


def _chunk(tokens: int, size: Size, runs: Recordings, prompt: Prompt, device: str) -> dict:
    budget = Budget(default_budget(runs[0].bridge).bytes, tokens)

    def work() -> None:
        sweep(runs, prompt, "z", budget=budget)

    return {"tokens": tokens, "seconds": seconds(work, device, size.repeats), "peak_bytes": peak_bytes(work, device)}


def name_of(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def table(found: dict) -> str:
    """The README's rows of what was measured."""
    rows = [
        ("both models recorded", f"{found['record_both_seconds']:.2f} s"),
        (
            "both recorded / two plain forwards",
            f"{found['record_both_seconds'] / found['two_plain_forwards_seconds']:.2f}",
        ),
    ]
    for site in SITES:
        one = found[site]
        peak = "" if one["peak_bytes"] is None else f", peak {one['peak_bytes'] / GB:.1f} GB"
        rows += [
            (f"{site} sweep", f"{one['seconds']:.2f} s{peak}"),
            (
                f"{site}: TransformerLens' own function / sweep",
                f"{one['transformer_lens_seconds'] / one['seconds']:.1f}",
            ),
            (f"{site}: sweep / plain forwards", f"{one['seconds'] / one['plain_forwards_seconds']:.2f}"),
            (f"{site}: noise floor", f"{one['noise_floor']:.3f} logits"),
        ]
    for chunk in found["chunks"]:
        rows.append((f"z sweep in chunks of {chunk['tokens']:,} tokens", f"{chunk['seconds']:.2f} s"))
    app = found.get("app", {})
    rows += [(f"app: {name.replace('_', ' ')}", str(value)) for name, value in app.items()]
    head = f"random pair of {found['parameters'] / 1e9:.1f}B, {found['dtype']}, {found['device']}"
    return "\n".join([f"| {head} | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main(size: Size = Size()) -> None:
    if not torch.cuda.is_available():
        sys.exit(REFUSAL)
    device, dtype = "cuda:0", torch.bfloat16
    need, free = 2 * size.parameters * dtype.itemsize, free_bytes(device)
    if 1.2 * need > free:
        sys.exit(f"not measured: the pair takes {need / GB:.0f} GB, {name_of(device)} has {free / GB:.0f} GB free")
    transformers.logging.set_verbosity_error()
    found = measure(size, device, dtype)
    gpu_app.give_back()
    with tempfile.TemporaryDirectory() as folder:
        found["app"] = gpu_app.measure(lambda: random_models(size, device, dtype), need, Path(folder))
    print(json.dumps(found, indent=2))
    print(table(found))


if __name__ == "__main__":
    main()
