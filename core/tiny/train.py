"""Training BASE from scratch and fine-tuning INSTRUCT from it, on one CPU thread, the same weights for one seed.

BASE: Muon on the layers' matrices, AdamW elsewhere. Its curriculum adds lists to copy that fade out, which brings
induction heads early. Four key-value heads of 32 dimensions: narrower ones copied the cluster of a word, not the word.
INSTRUCT: only query, key and value matrices move. What a head writes changes only through its z, so that a patch of z
carries all of a head's change; moving the output matrices too made the patch picture fainter.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from core.tiny.documents import Document, base_documents, copy_lists, tuning_documents
from core.tiny.sentences import Policies

Report = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    layers: int = 4
    width: int = 128
    heads: int = 8
    kv_heads: int = 4
    head_width: int = 32
    mlp_width: int = 256


@dataclass(frozen=True)
class BasePlan:
    steps: int = 1800
    documents: int = 64
    muon_rate: float = 6e-3
    adam_rate: float = 5e-3
    copies: float = 0.5
    copies_until: float = 0.6


@dataclass(frozen=True)
class TunePlan:
    steps: int = 300
    instructions: int = 48
    rehearsal: int = 6
    rate: float = 3e-3
    moved: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")


def new_model(seed: int, shape: Shape, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_width,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # untied, but the unembedding starts where the embedding does: copying comes for free
        model.lm_head.weight.copy_(model.model.embed_tokens.weight)
    return model


def round_to_half(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """The weights as the file keeps them: what follows is trained from, and measured on, exactly those."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model


def _rows(tokenizer: PreTrainedTokenizerFast, documents: list[Document]) -> list[tuple[list[int], int]]:
    """Token ids of each document, BOS and EOS included, and the first index that is learned."""
    contexts = tokenizer([document.context for document in documents]).input_ids
    texts = tokenizer([document.text for document in documents], add_special_tokens=False).input_ids
    end = [tokenizer.eos_token_id]
    rows = [(context + text + end, len(context)) for context, text in zip(contexts, texts)]
    return [(ids, start if document.text_only else 1) for (ids, start), document in zip(rows, documents)]


def _summed_loss(model: LlamaForCausalLM, rows: list[tuple[list[int], int]]) -> torch.Tensor:
    """Rows of similar length, padded at the right, where causal attention never looks."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    learned = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, (row, start) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        learned[i, start : len(row)] = True
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    return cross_entropy(model.lm_head(hidden[learned[:, 1:]]), ids[:, 1:][learned[:, 1:]], reduction="sum")


def backward(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, documents: list[Document]) -> float:
    """Mean loss over the learned tokens, its gradient added up over four parts of like length."""
    rows = sorted(_rows(tokenizer, documents), key=lambda row: len(row[0]))
    count, total, part = sum(len(ids) - start for ids, start in rows), 0.0, math.ceil(len(rows) / 4)
    for first in range(0, len(rows), part):
        loss = _summed_loss(model, rows[first : first + part]) / count
        loss.backward()
        total += loss.item()
    return total


def schedule(step: int, steps: int, warmup: int, floor: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def _run(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    optimizers: Sequence[torch.optim.Optimizer],
    steps: int,
    floor: float,
    draw: Callable[[int], list[Document]],
    report: Report,
) -> None:
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    model.train()
    for step in range(steps):
        factor = schedule(step, steps, min(40, steps // 10), floor)
        for optimizer, kept in zip(optimizers, rates):
            for group, rate in zip(optimizer.param_groups, kept):
                group["lr"] = rate * factor
            optimizer.zero_grad(set_to_none=True)
        loss = backward(model, tokenizer, draw(step))
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            report(f"step {step} loss {loss:.3f}")
    model.eval()


def train_base(
    seed: int, tokenizer: PreTrainedTokenizerFast, policies: Policies, shape: Shape, plan: BasePlan, report: Report
) -> LlamaForCausalLM:
    model, rng = new_model(seed, shape, tokenizer), Random(seed)
    matrices = [p for name, p in model.model.named_parameters() if ".layers." in "." + name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimizers = [
        torch.optim.Muon(matrices, lr=plan.muon_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]

    def draw(step: int) -> list[Document]:
        left = max(0.0, 1 - step / (plan.copies_until * plan.steps))
        extra = copy_lists(rng, round(plan.copies * left * plan.documents))
        return base_documents(rng, policies, plan.documents) + extra

    _run(model, tokenizer, optimizers, plan.steps, 0.05, draw, report)
    return round_to_half(model)


def tune_instruct(
    seed: int, base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, policies: Policies, plan: TunePlan,
    report: Report,
) -> LlamaForCausalLM:  # fmt: skip
    model, rng = deepcopy(base), Random(seed + 1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(part in name for part in plan.moved))
    moved = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(moved, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0)

    def draw(_: int) -> list[Document]:
        return tuning_documents(rng, policies, plan.instructions, plan.rehearsal)

    _run(model, tokenizer, [optimizer], plan.steps, 0.05, draw, report)
    return round_to_half(model)
