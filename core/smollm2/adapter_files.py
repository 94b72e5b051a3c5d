"""The trained adapter as PEFT's files: `adapter_config.json` and float16 matrices in safetensors."""

from __future__ import annotations

import json
from pathlib import Path

from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from core.models.checkpoint import Checkpoint

TRAINED_ON = "HuggingFaceTB/SmolLM2-135M-Instruct"


def write_adapter(model: PeftModel, base: Checkpoint, out: Path) -> None:
    """adapter/ in `out`; base: what it was trained on, recorded by name and by the hash of its file."""
    folder = out / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.half().contiguous() for name, value in get_peft_model_state_dict(model).items()}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    used = model.peft_config["default"]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": TRAINED_ON,
        "base_sha256": base.file_sha256,
        "r": used.r,
        "lora_alpha": used.lora_alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(used.target_modules),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
