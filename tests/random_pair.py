"""A random BASE and an INSTRUCT near it, as bridges, with a prompt that both read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformer_lens.model_bridge import TransformerBridge

from core.experiment import Experiment
from core.prompt import Prompt, tokenize
from core.recording import Recording, record
from tests.random_models import boot, fine_tuned, random_model
from tests.random_tokenizers import byte_level

EXPERIMENT = Experiment(answer="swift", picked=4)


@dataclass(frozen=True, eq=False)
class RandomPair:
    """models: Hugging Face's, float64. bridges: the same weights in the dtype asked for."""

    models: tuple[transformers.PreTrainedModel, transformers.PreTrainedModel]
    bridges: tuple[TransformerBridge, TransformerBridge]
    prompt: Prompt
    recordings: tuple[Recording, Recording]


def random_pair(family: str, groups: int, folder: Path, dtype: torch.dtype = torch.float32) -> RandomPair:
    base = random_model(family, groups)
    models = (base, fine_tuned(base))
    tokenizer = byte_level()
    bridges = []
    for name, model in zip(("base", "instruct"), models):
        model.save_pretrained(folder / name)
        bridges.append(boot(folder / name, tokenizer, dtype))
    prompt = tokenize(EXPERIMENT, tokenizer)
    recordings = tuple(record(bridge, prompt.ids) for bridge in bridges)
    return RandomPair(models, tuple(bridges), prompt, recordings)
