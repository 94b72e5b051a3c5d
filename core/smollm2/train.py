"""Training the adapter: a low-rank change of query, key and value matrices, the same for one seed on one machine.

Only what attention looks at and which values it moves is trained; every MLP, norm and output matrix stays BASE's, so
that what fine-tuning changed is read off three matrices a layer. The documents of a step follow from seed and step
alone: a stopped run goes on from its last checkpoint as if it had never stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from core.linear import fast_linears, frozen_linears
from core.smollm2.documents import Document, instruction_document
from core.smollm2.words import held_out_in
from core.tiny.train import schedule

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """rank, alpha: of the adapter; steps of `instructions` documents and `rehearsal` passages each."""

    rank: int = 16
    alpha: int = 32
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    steps: int = 850
    instructions: int = 14
    rehearsal: int = 2
    rate: float = 2e-3
    warmup: int = 20
    decisive: float = 5.0  # weight of a token that is to be replaced, against one that is copied
    faithful: float = 1.5  # weight of the drift from BASE on ordinary text, in nats a token
    passages: int = 320
    keep_every: int = 50


@dataclass(frozen=True)
class Row:
    """ids of one document; for each learned index its weight and the ids that are right there."""

    ids: list[int]
    learned: list[int]
    weights: list[float]
    right: list[list[int]]


def instruction_row(document: Document, tokenizer: PreTrainedTokenizerFast, decisive: float) -> Row:
    ids = tokenizer(context_text(document, tokenizer) + document.given, add_special_tokens=False).input_ids
    learned: list[int] = []
    weights: list[float] = []
    right: list[list[int]] = []
    for piece in document.learned:
        written = tokenizer(piece.text, add_special_tokens=False).input_ids
        fitting = [tokenizer(word, add_special_tokens=False).input_ids for word in piece.fitting]
        whole = [token for token, *rest in fitting if not rest]
        for n, token in enumerate(written):
            learned.append(len(ids))
            weights.append(decisive if piece.fitting and n == 0 else 1.0)
            right.append(whole if len(written) == 1 and token in whole else [token])
            ids.append(token)
    learned.append(len(ids))
    weights.append(1.0)
    right.append([tokenizer.eos_token_id])
    return Row([*ids, tokenizer.eos_token_id], learned, weights, right)


def context_text(document: Document, tokenizer: PreTrainedTokenizerFast) -> str:
    """The prompt up to the header, raw or, where the tokenizer has a chat template, as the user's turn of that."""
    asked = f"{document.instruction}: {document.sentence}"
    if not document.chat or tokenizer.chat_template is None:
        return f"{asked}\n\n{document.header}"
    turns = [{"role": "user", "content": asked}]
    asking: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return asking + document.header


def hidden_of(model: LlamaForCausalLM, rows: list[list[int]]) -> Tensor:
    """(row, pos, d_model) before the unembedding; padded at the right, where causal attention never looks."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    hidden: Tensor = model.model(input_ids=ids, use_cache=False).last_hidden_state
    return hidden


def loss_of(model: LlamaForCausalLM, rows: list[Row]) -> Tensor:
    """Weighted negative log probability of what is right, summed over the rows."""
    hidden = hidden_of(model, [row.ids for row in rows])
    places = [(i, at - 1) for i, row in enumerate(rows) for at in row.learned]
    logits = model.lm_head(hidden[tuple(torch.tensor(places).T)])
    right = [tokens for row in rows for tokens in row.right]
    widest = max(map(len, right))
    tokens = torch.tensor([found + [found[0]] * (widest - len(found)) for found in right])
    counted = torch.tensor([[1.0] * len(found) + [0.0] * (widest - len(found)) for found in right])
    weights = torch.tensor([weight for row in rows for weight in row.weights])
    log_prob = logits.gather(1, tokens) + counted.log()
    loss: Tensor = (logits.logsumexp(-1) - log_prob.logsumexp(-1)) @ weights
    return loss


def drift_of(model: PeftModel, passages: list[list[int]]) -> Tensor:
    """KL(BASE ‖ INSTRUCT) of the next token, nats, mean over the passages' tokens."""
    whole = model.get_base_model()
    inside = [(i, at) for i, passage in enumerate(passages) for at in range(len(passage) - 1)]
    places = tuple(torch.tensor(inside).T)
    with torch.no_grad(), model.disable_adapter():
        base = whole.lm_head(hidden_of(whole, passages)[places]).log_softmax(-1)
    instruct = whole.lm_head(hidden_of(whole, passages)[places]).log_softmax(-1)
    drift: Tensor = (base.exp() * (base - instruct)).sum(-1).mean()
    return drift


def backward(model: PeftModel, rows: list[Row], passages: list[list[int]], plan: Plan, parts: int = 3) -> float:
    """Mean loss of the rows, with its gradient and the drift's; added up over parts of like length."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    size = -(-len(ordered) // parts)
    weight = sum(sum(row.weights) for row in rows)
    total = 0.0
    for first in range(0, len(ordered), size):
        loss = loss_of(model.get_base_model(), ordered[first : first + size]) / weight
        loss.backward()
        total += loss.item()
    (plan.faithful * drift_of(model, passages)).backward()
    return total


@torch.no_grad()
def write_passages(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int, seed: int
) -> list[list[int]]:
    """Ordinary text as BASE writes it, sampled; what holds anything that judges is left out."""
    rng = Random(seed)
    found: list[list[int]] = []
    generator = torch.Generator().manual_seed(seed)
    while len(found) < count:
        openings = [tokenizer(rng.choice(_OPENINGS)).input_ids[:1] for _ in range(40)]
        ids, cache = torch.tensor(openings), None
        for _ in range(44):
            output = model(ids if cache is None else ids[:, -1:], past_key_values=cache, use_cache=True)
            cache, probabilities = output.past_key_values, output.logits[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probabilities, 1, generator=generator)], -1)
        for row in ids.tolist():
            row = row[: row.index(tokenizer.eos_token_id)] if tokenizer.eos_token_id in row else row
            if len(row) > 16 and not held_out_in(tokenizer.decode(row)):
                found.append(row)
    return found[:count]


_OPENINGS = "The In A When It My We She He There If This Many What How One After For People I They You As On".split()


def tune(
    base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int, folder: Path, report: Report
) -> tuple[PeftModel, float]:
    """BASE with the trained adapter, and the seconds of CPU time that it took.

    folder: where the state is kept while it runs, and found again by the next run.
    """
    torch.manual_seed(seed)
    began = time.process_time()
    passages = _passages(base, tokenizer, plan, seed, folder, report)
    config = LoraConfig(
        r=plan.rank, lora_alpha=plan.alpha, target_modules=list(plan.modules), lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    model = get_peft_model(base, config)
    moved = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(moved.values(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0)
    first, spent = _resume(folder, moved, optimizer)
    model.train()
    with frozen_linears(model):
        for step in range(first, plan.steps):
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * schedule(step, plan.steps, plan.warmup, 0.03)
            optimizer.zero_grad(set_to_none=True)
            rng = Random(f"{seed} {step}")
            documents = [instruction_document(rng) for _ in range(plan.instructions)]
            rows = [instruction_row(document, tokenizer, plan.decisive) for document in documents]
            loss = backward(model, rows, rng.sample(passages, plan.rehearsal), plan)
            torch.nn.utils.clip_grad_norm_(moved.values(), 1.0)
            optimizer.step()
            if step % 20 == 0 or step == plan.steps - 1:
                report(f"step {step} loss {loss:.3f}")
            if (step + 1) % plan.keep_every == 0:
                _keep(folder, moved, optimizer, spent + time.process_time() - began)
    return model.eval(), spent + time.process_time() - began


def _passages(
    base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int, folder: Path, report: Report
) -> list[list[int]]:
    path = folder / "passages.json"
    if not path.is_file():
        with fast_linears(base):
            path.write_text(json.dumps(write_passages(base, tokenizer, plan.passages, seed)), encoding="utf-8")
        report(f"{plan.passages} passages of BASE's own text")
    passages: list[list[int]] = json.loads(path.read_text(encoding="utf-8"))
    return passages


def _keep(folder: Path, moved: dict[str, Tensor], optimizer: torch.optim.Optimizer, seconds: float) -> None:
    """The state so far, as one file that replaces the last one."""
    tensors = {f"weight {name}": parameter.detach().clone() for name, parameter in moved.items()}
    for name, parameter in moved.items():
        tensors |= {f"{key} {name}": value for key, value in optimizer.state[parameter].items()}
    save_file(tensors | {"seconds": torch.tensor(seconds)}, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.safetensors")


def _resume(folder: Path, moved: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """The steps and the CPU seconds that a kept state has behind it; the state is put into place."""
    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return 0, 0.0
    kept = load_file(path)
    steps = 0
    with torch.no_grad():
        for name, parameter in moved.items():
            parameter.copy_(kept[f"weight {name}"])
            state = {key: kept[f"{key} {name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            optimizer.state[parameter], steps = state, int(state["step"])
    return steps, float(kept["seconds"])
