"""The cells of `core.export.notebook`, as they are run elsewhere: Python that knows nothing of this project.

A test runs them on the tiny pair, and on families with other norms.
"""

TITLE = """
# The headline numbers again

{prompt}

answer `{answer}`, original `{original}`. Everything below is computed with transformers and TransformerLens alone; the
last cell holds it against the numbers that the REPHRASE Circuit Explorer gave.

A model that was a folder is named by the folder's last part, or from the Explorer's own folder on: put its path here.
"""

IMPORTS = """
import json
from importlib.util import find_spec
from math import sqrt
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import cached_file
"""

LOAD = '''
def place(name):
    """A file inside an installed package; any other name as it is."""
    if not name.startswith("package:"):
        return name
    package, file = name.removeprefix("package:").split("/", 1)
    return str(Path(find_spec(package).submodule_search_locations[0]) / file)


def read(loader, name, revision, **more):
    name = place(name)
    if name.lower().endswith(".gguf"):
        return loader.from_pretrained(str(Path(name).parent), gguf_file=Path(name).name, **more)
    return loader.from_pretrained(name, revision=revision, **more)


def adapter_of(name, revision):
    """The config of a LoRA adapter, or None for a whole model."""
    if place(name).lower().endswith(".gguf"):
        return None
    missing = {"_raise_exceptions_for_missing_entries": False}
    return cached_file(place(name), "adapter_config.json", revision=revision, **missing)


def load(name, revision):
    more = {"quantization_config": BitsAndBytesConfig(**{f"load_in_{QUANTIZATION}": True})} if QUANTIZATION else {}
    return read(AutoModelForCausalLM, name, revision, dtype=DTYPE, attn_implementation="eager", **more).eval()


def merge(model, name, revision, config_file):
    """W + scale · B A for every module that the adapter names."""
    config = json.loads(Path(config_file).read_text())
    assert not config.get("alpha_pattern"), "one scale for all modules is assumed"
    halves = load_file(cached_file(place(name), "adapter_model.safetensors", revision=revision))
    modules = dict(model.named_modules())
    for key, down in halves.items():
        if key.endswith(".lora_A.weight"):
            up, rank = halves[key.replace("lora_A", "lora_B")], down.shape[0]
            scale = config["lora_alpha"] / (sqrt(rank) if config.get("use_rslora") else rank)
            weight = modules[key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")].weight
            weight.data = (weight.float() + scale * up.float() @ down.float()).to(weight.dtype)
    return model


names = [(BASE, BASE_REVISION), (INSTRUCT, INSTRUCT_REVISION)]
adapters = [adapter_of(*name) for name in names]
bridges = []
torch.set_grad_enabled(False)
for m in (0, 1):
    whole = names[1 - m] if adapters[m] else names[m]
    model = load(*whole)
    if adapters[m]:
        model = merge(model, *names[m], adapters[m])
    tokenizer = read(AutoTokenizer, *whole)
    bridges.append(TransformerBridge.boot_transformers(whole[0], hf_model=model, tokenizer=tokenizer, dtype=DTYPE))
'''

RUN_TOLD = """
## Both models on the prompt

The prompt's token ids are the Explorer's; `ORIGINAL_AT` is the position of the word that is to be replaced, the last
position (END) the one at which the next token is predicted.
"""

RUN = '''
def run(bridge, *hooks):
    """What the cells below read of a run, by hook name; hooks: what is changed in it."""
    kept = {}

    def keeper(name):
        return name, lambda x, hook: kept.update({name: x.clone()})

    wanted = ("attn.hook_z", "attn.hook_pattern", "ln1_post.hook_scale", "ln_final.hook_in")
    keepers = [keeper(name) for name in bridge.hook_dict if name.endswith(wanted)]
    bridge.run_with_hooks(tokens, return_type=None, fwd_hooks=[*hooks, *keepers])
    return kept


print(tokenizer.decode(IDS))
tokens = torch.tensor([IDS], device=bridges[0].cfg.device)
caches = [run(bridge) for bridge in bridges]
found = {}
'''

DIFFERENCE_TOLD = """
## Logit difference

logit[answer] − logit[original] at END: final norm, unembedding and subtraction in float32, before a soft cap.
"""

DIFFERENCE = '''
def scaled_direction(bridge, x):
    """d · s, on which what was added to the final residual x is projected, and the bias that nothing adds."""
    norm, module = bridge.ln_final, bridge.ln_final.original_component
    x = x.float()
    weight = module.weight.float() + (1 if norm.uses_weight_offset else 0)
    apart = bridge.W_U[:, ANSWER].float() - bridge.W_U[:, ORIGINAL].float()
    d = weight * apart
    if not norm.uses_rms_norm:
        x, d = x - x.mean(), d - d.mean()
    eps = getattr(module, "variance_epsilon", None) or getattr(module, "eps", None) or bridge.cfg.eps
    bias = 0.0
    if not norm.uses_rms_norm and module.bias is not None:
        bias += float(module.bias.float() @ apart)
    if bridge.b_U is not None:
        bias += float(bridge.b_U[ANSWER].float() - bridge.b_U[ORIGINAL].float())
    return d / torch.sqrt(x.pow(2).mean() + eps), bias


def logit_difference(bridge, x):
    direction, bias = scaled_direction(bridge, x)
    return float(x.float() @ direction) + bias


ends = [cache["ln_final.hook_in"][0, -1] for cache in caches]
differences = [logit_difference(bridge, x) for bridge, x in zip(bridges, ends)]
for name, value in zip(("BASE", "INSTRUCT"), differences):
    found[f"logit difference {name}"] = value
differences
'''

DLA_TOLD = """
## Direct logit attribution of heads

A head's output z W_O, through the block's own norm where it has one, projected on the same direction.
"""

DLA = """
def direct(m, layer, head):
    bridge, cache = bridges[m], caches[m]
    block = bridge.blocks[layer]
    written = cache[f"blocks.{layer}.attn.hook_z"][0, -1, head].float() @ block.attn.W_O[head].float()
    scale = f"blocks.{layer}.ln1_post.hook_scale"
    if scale in cache:
        norm = block.ln1_post
        weight = norm.original_component.weight.float() + (1 if norm.uses_weight_offset else 0)
        written = written / cache[scale][0, -1].float() * weight
    return float(written @ scaled_direction(bridge, ends[m])[0])
"""

PATCH_TOLD = """
## Output patches

The recipient runs the prompt; one head's z is replaced by the donor's at the patched positions. Effect: by how many
logits the recipient's difference moves. Score: the share of the gap, donor − recipient.
"""

PATCH = """
recipient, donor = bridges[1 - DONOR], caches[DONOR]


def patch_effect(layer, head):
    name = f"blocks.{layer}.attn.hook_z"

    def write(z, hook):
        z = z.clone()
        z[:, PATCHED, head] = donor[name][:, PATCHED, head]
        return z

    end = run(recipient, (name, write))["ln_final.hook_in"][0, -1]
    return logit_difference(recipient, end) - differences[1 - DONOR]


def patch_score(layer, head):
    return patch_effect(layer, head) / (differences[DONOR] - differences[1 - DONOR])
"""

ATTENTION_TOLD = """
## Attention

What of its attention a head gives, at END, to the original.
"""

ATTENTION = """
def attention(m, layer, head):
    return float(caches[m][f"blocks.{layer}.attn.hook_pattern"][0, head, -1, ORIGINAL_AT])
"""

COMPARE_TOLD = """
## Beside the Explorer's numbers

`None` where the Explorer had not computed it.
"""

COMPARE = """
def again(name):
    if name in found:
        return found[name]
    what, place, *model = name.rsplit(" ", 2) if name.endswith(("BASE", "INSTRUCT")) else name.rsplit(" ", 1)
    layer, head = map(int, place.removeprefix("L").split("H"))
    m = int(model == ["INSTRUCT"])
    if what == "DLA":
        return direct(m, layer, head)
    if what.startswith("patch"):
        return {"patch score": patch_score, "patch effect": patch_effect}[what](layer, head)
    return attention(m, layer, head)


found = {name: again(name) for name in APP}
apart = {name: abs(found[name] - value) for name, value in APP.items() if value is not None}
for name, value in APP.items():
    print(f"{name:32} {found[name]:+.6f}", "" if value is None else f"{value:+.6f}  apart {apart[name]:.1e}")
worst = max(apart, key=apart.get)
print(f"furthest apart: {worst}, {apart[worst]:.1e}")
assert apart[worst] <= TOLERANCE
"""
