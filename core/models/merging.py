"""An adapter merged into a model by `peft`: a second model that holds anew only the weights that the adapter changes.

All other weights are the first model's own tensors. Nothing here writes a weight in place, and nothing else does.
Merged is in float32 at least, from the weights as they are stored, and rounded to the models' dtype once, at the end.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file

from core.experiment import InputError, shorten
from core.models.adapters import WEIGHTS, Adapter
from core.models.weight_files import weight_files


def merged(model: transformers.PreTrainedModel, adapter: Adapter, folder: Path) -> transformers.PreTrainedModel:
    """The model with the adapter merged in; folder: where the model's weights are stored.

    An `InputError` where the adapter does not reach every module that its config names, or the sum is not finite.
    """
    together = copy.deepcopy(model, {id(p): p for p in model.parameters()})
    modules = dict(together.named_modules())
    for name in adapter.ranks:
        if not isinstance(modules.get(name), torch.nn.Linear):
            raise InputError(f"the adapter {adapter.source!r} changes {name!r}, which is no linear layer here", "pair")
        # A parameter of its own, so that the merge cannot reach the first model's.
        modules[name].weight = torch.nn.Parameter(modules[name].weight.data, requires_grad=False)
    with warnings.catch_warnings():
        # Of peft's own making; they would stand beside the one line that an error gets.
        warnings.simplefilter("ignore")
        tuned = _with_adapter(together, adapter)
    for name, module in tuned.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            _merge(module, name, adapter, folder)
    return tuned.unload().eval()


def _with_adapter(model: transformers.PreTrainedModel, adapter: Adapter) -> peft.PeftModel:
    config = peft.LoraConfig.from_pretrained(str(adapter.folder))
    config.inference_mode, config.init_lora_weights = True, True
    tuned = peft.PeftModel(model, config)
    found = peft.set_peft_model_state_dict(tuned, load_file(adapter.folder / WEIGHTS))
    if missing := [key for key in found.missing_keys if "lora_" in key]:
        raise InputError(
            f"the config of the adapter {adapter.source!r} names {_module(missing[0])!r}, for which its file holds no "
            "weights; fetch or save it again",
            "pair",
        )
    if left := list(found.unexpected_keys):
        raise InputError(
            f"the adapter {adapter.source!r} holds weights for {_module(left[0])!r}, which its config does not name; "
            "fetch or save it again",
            "pair",
        )
    return tuned


def _merge(module: LoraLayer, name: str, adapter: Adapter, folder: Path) -> None:
    layer = module.get_base_layer()
    dtype = layer.weight.dtype
    wide = torch.promote_types(dtype, torch.float32)
    layer.weight.data = _stored(folder, f"{name}.weight", layer.weight.data).to(wide)
    for half in (*module.lora_A.values(), *module.lora_B.values()):
        half.to(wide)
    try:
        module.merge(safe_merge=True)
    except ValueError:
        raise InputError(
            f"the adapter {adapter.source!r} gives {name!r} weights that are no finite numbers; "
            "fetch or train it again",
            "pair",
        ) from None
    layer.weight.data = layer.weight.data.to(dtype)


def _stored(folder: Path, name: str, loaded: torch.Tensor) -> torch.Tensor:
    """The weight as its file holds it, where loading has rounded it."""
    if loaded.dtype in (torch.float32, torch.float64):
        return loaded
    for path in weight_files(folder):
        with safe_open(path, "pt") as file:
            if name in file.keys():
                stored: torch.Tensor = file.get_tensor(name)
                return stored.to(loaded.device)
    return loaded


def _module(key: str) -> str:
    return shorten(key.split(".lora_")[0].removeprefix("base_model.model."))
