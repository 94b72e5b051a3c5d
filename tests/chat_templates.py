"""Chat templates in the manner of the known families, and tokenizers that have them."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import transformers

from core.models.pairs import registry
from tests.random_models import fine_tuned, random_model
from tests.random_tokenizers import byte_level

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# One of its own accord before the first turn, with a colon and a date in it.
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nNote: help. Today: ' + strftime_now('%d %b %Y')"
    " + '.<|im_end|>\n' }}{% endif %}" + CHATML
)
LLAMA3 = (
    "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>'"
    " + '\n\n' + message['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{{ '<start_of_turn>' + message['role'].replace('assistant', 'model')"
    " + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content']"
    " + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
TOKENS = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "default_system": ("<|im_start|>", "<|im_end|>"),
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "mistral": ("[INST]", "[/INST]"),
}
TEMPLATES = dict(chatml=CHATML, default_system=DEFAULT_SYSTEM, llama3=LLAMA3, gemma=GEMMA, mistral=MISTRAL)
# What ends the model's turn in each.
ENDS = dict(chatml="<|im_end|>", default_system="<|im_end|>", llama3="<|eot_id|>")
ENDS |= dict(gemma="<end_of_turn>", mistral="</s>")
NAMES = tuple(TEMPLATES)
# For the embedded pair's tokenizer, with tokens that it has.
TINY = "{% for message in messages %}{{ '<|begin_of_text|>' + message['content'] + '<|end_of_text|>\n' }}{% endfor %}"


def chatting(
    tokenizer: transformers.PreTrainedTokenizerFast, name: str, special: bool = True
) -> transformers.PreTrainedTokenizerFast:
    """A copy with a template and its tokens; special=False: tokens of their own, but not marked as special."""
    found = copy.deepcopy(tokenizer)
    found.add_tokens(list(TOKENS[name]), special_tokens=special)
    found.chat_template = TEMPLATES[name]
    return found


def with_template(tokenizer, template: str):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


def write_pair(folder: Path) -> Path:
    """The embedded pair with a chat template in its INSTRUCT, as the pair `chat`; returns the file that lists it."""
    tiny = registry()["tiny"]
    for name in ("base", "instruct"):
        shutil.copytree(getattr(tiny, name), folder / name)
    (folder / "instruct" / "chat_template.jinja").write_text(TINY)
    return listed(folder, "chat")


def write_silent_pair(folder: Path) -> Path:
    """A random pair whose tokenizer puts no BOS and has no template, as the pair `silent`; returns its file."""
    base = random_model("llama", groups=2)
    for name, model in (("base", base), ("instruct", fine_tuned(base))):
        model.float().save_pretrained(folder / name)
        byte_level(adds_bos=False).save_pretrained(folder / name)
    return listed(folder, "silent")


def listed(folder: Path, name: str) -> Path:
    path = folder / "pairs.toml"
    paths = "\n".join(f'{model} = "{folder / model}"' for model in ("base", "instruct"))
    path.write_text(f'[[pair]]\nid = "{name}"\ntitle = "{name}"\ndtype = "float32"\n{paths}\n')
    return path
