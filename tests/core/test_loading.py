"""Loading leaves a model's tokenizer as its folder has it, and never runs a model's own code."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
import transformers

from core.experiment import Experiment, InputError
from core.models.loading import load_pair
from core.models.pairs import PairSpec, registry
from core.runs import read_prompt


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize("names_bos", [True, False])
def test_a_loaded_model_reads_the_prompt_as_its_own_tokenizer_does(
    pair_of, tokenizer_of, tmp_path, adds_bos, names_bos
):
    models = pair_of().models
    tokenizer = copy.deepcopy(tokenizer_of("byte_level", adds_bos and names_bos))
    # As in Qwen2.5 and SmolLM2: BASE and INSTRUCT name different special tokens, and add none.
    ends = ("</s>", "<pad>")
    if not names_bos:
        tokenizer.bos_token = None
    for name, model, end in zip(("base", "instruct"), models, ends):
        tokenizer.eos_token = end
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    spec = PairSpec("own", "own", str(tmp_path / "base"), str(tmp_path / "instruct"))
    pair = load_pair(spec, device="cpu")
    prompt = read_prompt(Experiment(answer="swift"), pair)
    assert list(prompt.ids) == tokenizer(prompt.text)["input_ids"]
    assert prompt.roles["bos"] == (0 if adds_bos and names_bos else None)


def test_sizes_are_compared_whatever_a_family_calls_them(tokenizer_of, tmp_path):
    for name, layers in (("base", 2), ("instruct", 3)):
        config = transformers.GPT2Config(vocab_size=768, n_embd=32, n_layer=layers, n_head=4)
        transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / name)
        tokenizer_of("byte_level", True).save_pretrained(tmp_path / name)
    spec = PairSpec("own", "own", str(tmp_path / "base"), str(tmp_path / "instruct"))
    with pytest.raises(InputError, match="BASE has 2 layers, INSTRUCT has 3"):
        load_pair(spec, device="cpu")


def with_own_code(folder: Path, model_type: str) -> PairSpec:
    """The tiny pair, INSTRUCT with code of its own, which leaves a file `ran` where it is run."""
    tiny = registry()["tiny"]
    own = Path(shutil.copytree(tiny.instruct, folder / "instruct"))
    (own / "code.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    config = json.loads((own / "config.json").read_text())
    config |= {
        "model_type": model_type,
        "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"},
    }
    (own / "config.json").write_text(json.dumps(config))
    return PairSpec("own", "own", tiny.base, str(own))


def test_a_model_with_code_of_its_own_is_loaded_as_the_architecture_that_it_names(tmp_path):
    pair = load_pair(with_own_code(tmp_path, "llama"), device="cpu")
    assert type(pair.instruct.original_model) is transformers.LlamaForCausalLM and not (tmp_path / "ran").exists()


def test_a_model_that_needs_code_of_its_own_is_refused_and_the_code_never_run(tmp_path):
    with pytest.raises(InputError, match="code of its own, which is never run") as refused:
        load_pair(with_own_code(tmp_path, "mine"), device="cpu")
    assert "trust_remote_code" not in str(refused.value) and not (tmp_path / "ran").exists()
