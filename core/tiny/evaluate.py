"""What the pair must show, and how each figure is measured.

logit_diff = logit[answer] − logit[original] at END. A head's patch score = (mean effect of writing INSTRUCT's
`hook_z` of that head, at all positions, into BASE) / (mean gap between the two models), over a sample of prompts.
`hook_z` is the input of the attention's output projection.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from core.tiny.heldout import POST_PROMPT, Prompt

PATCHED_PROMPTS = 40
_BATCH = 60


@dataclass(frozen=True)
class Threshold:
    figure: str
    at_least: bool
    bound: float


THRESHOLDS = (
    Threshold("base unseen_combination logit_diff", False, -1.0),
    Threshold("instruct unseen_combination logit_diff", True, 2.0),
    Threshold("instruct unseen_combination synonym", True, 0.97),
    Threshold("instruct unseen_group logit_diff", True, 1.5),
    Threshold("base post logit_diff", False, -1.0),
    Threshold("instruct post logit_diff", True, 1.0),
    Threshold("instruct post synonym", True, 1.0),
    Threshold("instruct repeat copy", True, 0.98),
    Threshold("instruct loose_form synonym", True, 0.9),
    Threshold("instruct unseen_wording synonym", True, 0.8),
    Threshold("patch best score", True, 0.10),
    Threshold("patch top six share", True, 0.5),
)


@dataclass(frozen=True)
class NextWords:
    """Per prompt: the logit difference, and whether the top next token is a synonym or the original."""

    logit_diff: np.ndarray
    synonym: np.ndarray
    copy: np.ndarray


def _batches(prompts: list[Prompt], tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Token ids padded at the right, END of each row, and which prompts they are; like lengths together."""
    rows = tokenizer([prompt.text for prompt in prompts]).input_ids
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for first in range(0, len(order), _BATCH):
        chosen = order[first : first + _BATCH]
        ids = torch.zeros(len(chosen), max(len(rows[i]) for i in chosen), dtype=torch.long)
        for row, i in enumerate(chosen):
            ids[row, : len(rows[i])] = torch.tensor(rows[i])
        yield chosen, ids, torch.tensor([len(rows[i]) - 1 for i in chosen])


def _token(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    (token,) = tokenizer(" " + word, add_special_tokens=False).input_ids
    return int(token)


def _end_logits(model: LlamaForCausalLM, ids: Tensor, end: Tensor) -> Tensor:
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    logits: Tensor = model.lm_head(hidden[torch.arange(len(ids)), end])
    return logits


def _differences(logits: Tensor, prompts: list[Prompt], tokenizer: PreTrainedTokenizerFast) -> Tensor:
    rows = torch.arange(len(prompts))
    answers = torch.tensor([_token(tokenizer, prompt.answer) for prompt in prompts])
    originals = torch.tensor([_token(tokenizer, prompt.original) for prompt in prompts])
    return logits[rows, answers] - logits[rows, originals]


def end_logits_of(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> Iterator[tuple[list[int], Tensor]]:
    """Indices of prompts, a batch of like lengths at a time, and their logits at END, (prompt, token)."""
    for chosen, ids, end in _batches(prompts, tokenizer):
        yield chosen, _end_logits(model, ids, end)


@torch.no_grad()
def next_words(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]) -> NextWords:
    found = np.zeros((3, len(prompts)))
    for chosen, logits in end_logits_of(model, tokenizer, prompts):
        batch = [prompts[i] for i in chosen]
        found[0, chosen] = _differences(logits, batch, tokenizer)
        tops = [tokenizer.decode(token).strip() for token in logits.argmax(-1).tolist()]
        found[1, chosen] = [top in prompt.synonyms for top, prompt in zip(tops, batch)]
        found[2, chosen] = [top == prompt.original for top, prompt in zip(tops, batch)]
    return NextWords(*found)


def _outputs_of_heads(model: LlamaForCausalLM, ids: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].clone()))
        for layer in model.model.layers
    ]
    model.model(input_ids=ids, use_cache=False)
    for hook in hooks:
        hook.remove()
    return kept


def _patched(recipient: LlamaForCausalLM, ids: Tensor, end: Tensor, layer: int, head: int, donor: Tensor) -> Tensor:
    width = recipient.config.head_dim
    columns = slice(head * width, (head + 1) * width)

    def write(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z = inputs[0].clone()
        z[..., columns] = donor[..., columns]
        return (z, *inputs[1:])

    hook = recipient.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(write)
    logits = _end_logits(recipient, ids, end)
    hook.remove()
    return logits


@torch.no_grad()
def patch_scores(
    recipient: LlamaForCausalLM, donor: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> np.ndarray:
    """(layer, head) scores of one-head output patches, ratio of means over the prompts."""
    config = recipient.config
    effects, gap = np.zeros((config.num_hidden_layers, config.num_attention_heads)), 0.0
    for chosen, ids, end in _batches(prompts, tokenizer):
        batch = [prompts[i] for i in chosen]
        plain = _differences(_end_logits(recipient, ids, end), batch, tokenizer)
        gap += (_differences(_end_logits(donor, ids, end), batch, tokenizer) - plain).sum().item()
        for layer, z in enumerate(_outputs_of_heads(donor, ids)):
            for head in range(config.num_attention_heads):
                logits = _patched(recipient, ids, end, layer, head, z)
                effects[layer, head] += (_differences(logits, batch, tokenizer) - plain).sum().item()
    return effects / gap


@torch.no_grad()
def attention_to(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> dict[str, np.ndarray]:
    """A(colon→END) and A(original→END) of every (layer, head); the model must run eager attention."""
    encoded = tokenizer(prompt.text, return_tensors="pt")
    tokens = encoded.input_ids[0].tolist()
    colon = next(i for i, token in enumerate(tokens) if ":" in tokenizer.decode(token))
    original = tokens.index(_token(tokenizer, prompt.original))
    patterns = torch.stack(model(encoded.input_ids, output_attentions=True).attentions)[:, 0, :, -1]
    return {"colon": patterns[..., colon].numpy(), "original": patterns[..., original].numpy()}


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def measure(
    base: LlamaForCausalLM, instruct: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> dict[str, float]:
    """Every figure of the model card, by name: model, kind of prompt, quantity."""
    figures: dict[str, float] = {}
    kinds = {"post": [POST_PROMPT]}
    for prompt in prompts:
        kinds.setdefault(prompt.kind, []).append(prompt)
    for kind, chosen in kinds.items():
        for name, model in (("base", base), ("instruct", instruct)):
            found = next_words(model, tokenizer, chosen)
            figures[f"{name} {kind} logit_diff"] = float(found.logit_diff.mean())
            if len(chosen) > 1:
                figures[f"{name} {kind} logit_diff standard error"] = _standard_error(found.logit_diff)
            figures[f"{name} {kind} synonym"] = float(found.synonym.mean())
            figures[f"{name} {kind} copy"] = float(found.copy.mean())
    for name, chosen in (("patch", kinds["unseen_combination"][:PATCHED_PROMPTS]), ("post patch", kinds["post"])):
        scores = np.sort(patch_scores(base, instruct, tokenizer, chosen).ravel())[::-1]
        figures[f"{name} best score"] = float(scores[0])
        figures[f"{name} top six share"] = float(scores[:6].sum() / scores[scores > 0].sum())
    return figures


def missed(figures: dict[str, float], thresholds: tuple[Threshold, ...] = THRESHOLDS) -> list[str]:
    """The thresholds that the figures do not reach, in words."""
    failed = []
    for threshold in thresholds:
        value, sign = figures[threshold.figure], 1 if threshold.at_least else -1
        if sign * value < sign * threshold.bound:
            word = "at least" if threshold.at_least else "at most"
            failed.append(f"{threshold.figure} is {value:.3f}, must be {word} {threshold.bound}")
    return failed
