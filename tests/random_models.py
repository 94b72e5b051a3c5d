"""Small random models of the nine families that the methods are checked on, and pairs of them.

Every weight is drawn afresh, norms and biases included: an analysis that forgets one is off by more than rounding.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import transformers
from transformer_lens.model_bridge import TransformerBridge

from tests.random_tokenizers import VOCAB

SIZES = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=512,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
# A head size that is not d_model / heads, and a window shorter than the prompt, where a family has them.
HEAD = dict(head_dim=12)
GEMMA = dict(head_dim=12, query_pre_attn_scalar=12, sliding_window=8)
CONFIGS = {
    "llama": (transformers.LlamaConfig, HEAD),
    "qwen2": (transformers.Qwen2Config, {}),
    "qwen3": (transformers.Qwen3Config, HEAD),
    "mistral": (transformers.MistralConfig, {}),
    "phi3": (transformers.Phi3Config, {}),
    "neox": (transformers.GPTNeoXConfig, {}),
    "gemma2": (transformers.Gemma2Config, GEMMA | dict(final_logit_softcapping=3.0)),
    "gemma3": (transformers.Gemma3TextConfig, GEMMA),
    "olmo2": (transformers.Olmo2Config, {}),
}
FAMILIES = tuple(CONFIGS)
# Attention's output passes a norm of its own before it joins the residual stream.
POST_NORM = ("gemma2", "gemma3", "olmo2")
# (family, number of KV groups): fewer than the 4 heads, and as many.
CASES = tuple((family, groups) for family in FAMILIES for groups in (2, 4) if (family, groups) != ("neox", 2))
CASE_NAMES = tuple(f"{family}-{groups}-groups" for family, groups in CASES)


def random_model(family: str, groups: int = 2, seed: int = 0) -> transformers.PreTrainedModel:
    """A model in float64, so that both dtypes of a test hold the same weights up to rounding."""
    config_class, extra = CONFIGS[family]
    grouped = {} if family == "neox" else {"num_key_value_heads": groups}
    config = config_class(**SIZES, **extra, **grouped, attn_implementation="eager")
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            is_norm_weight = weight.ndim == 1 and name.endswith("weight")
            weight.copy_(0.7 + 0.3 * noise if is_norm_weight else 0.2 * noise)
    return model


def fine_tuned(model: transformers.PreTrainedModel, seed: int = 1, size: float = 0.05) -> transformers.PreTrainedModel:
    """A copy with every weight moved a little: an INSTRUCT to a BASE."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(size * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return other


def boot(folder: Path, tokenizer, dtype: torch.dtype = torch.float32) -> TransformerBridge:
    """The raw bridge of a saved model, with exactly this tokenizer."""
    # AutoTokenizer would rebuild the tokenizer by the family's name, and the bridge one that adds no BOS of its own.
    spare = copy.deepcopy(tokenizer)
    spare.init_kwargs |= {"name_or_path": "", "add_bos_token": True}
    bridge = TransformerBridge.boot_transformers(str(folder), tokenizer=spare, device="cpu", dtype=dtype)
    bridge.tokenizer = None
    bridge.tokenizer = tokenizer
    return bridge
