"""GGUF files of small models, written with the library `gguf` as llama.cpp's converter lays them out."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
CHAT = "{% for message in messages %}<s>{{ message['content'] }}{% endfor %}"


def write_gguf(
    path: Path,
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerFast,
    quantized: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    architecture: str = "llama",
    pre: str | None = "smollm",
    more: dict[str, int | str] | None = None,
    extra_tensors: tuple[str, ...] = (),
) -> Path:
    """One file. quantized: the format of the matrices, norms stay in float32; more: other entries of the header."""
    writer = gguf.GGUFWriter(path, architecture)
    _describe(writer, model.config)
    _add_tokenizer(writer, tokenizer, pre)
    for key, value in (more or {}).items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    names = gguf.get_tensor_name_map(
        ARCHITECTURES.get(architecture, gguf.MODEL_ARCH.LLAMA), model.config.num_hidden_layers
    )
    for name, weight in model.state_dict().items():
        stem, _, kind = name.rpartition(".")
        array = _laid_out(name, weight.float(), model.config, architecture).numpy()
        matrix = array.ndim > 1
        stored = gguf.quants.quantize(array, quantized) if matrix else array
        writer.add_tensor(f"{names.get_name(stem)}.{kind}", stored, raw_dtype=quantized if matrix else None)
    for name in extra_tensors:
        writer.add_tensor(name, np.ones(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rounded(model: transformers.PreTrainedModel, quantized: gguf.GGMLQuantizationType) -> transformers.PreTrainedModel:
    """The model with the weights that a reader of its quantized file must find."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                blocks = gguf.quants.quantize(weight.float().numpy(), quantized)
                weight.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, quantized)))
    return model


def _describe(writer: gguf.GGUFWriter, config: transformers.PreTrainedConfig) -> None:
    writer.add_name("Small Test Model")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: transformers.PreTrainedTokenizerFast, pre: str | None) -> None:
    learned = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(learned["vocab"], key=learned["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    control = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control[token not in tokenizer.all_special_tokens] for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in learned["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)


def _laid_out(name: str, weight: torch.Tensor, config, architecture: str) -> torch.Tensor:
    """Llama's queries and keys are stored with the two halves of each head's rotation interleaved."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
    if architecture != "llama" or heads is None:
        return weight
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
