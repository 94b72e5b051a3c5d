"""The real pair, where its files are there: what the explorer loads is what plain `transformers` and `peft` load."""

from __future__ import annotations

import peft
import pytest
import torch
import transformers

from core.experiment import Experiment
from core.models.loading import LoadedPair, load_pair
from core.models.pairs import REAL, default_pair, lacking, registry
from core.models.places import local_path
from core.runs import read_prompt

MISSING = lacking(registry()[REAL])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the real pair is not here: {MISSING}")
PROMPTS = (
    Experiment(pair=REAL),
    Experiment(pair=REAL, sentence="My grandmother tells wonderful stories.", original="wonderful"),
    Experiment(pair=REAL, prompt="In 1984,  the 12 tired men said: “It's 3.50!”\n\nThe", original=" end"),
)
TOLERANCE = 1e-3  # logits, float32


@pytest.fixture(scope="module")
def pair() -> LoadedPair:
    return load_pair(registry()[REAL], "float32", "cpu")


@pytest.fixture(scope="module")
def published() -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    """BASE as `transformers` itself reads the GGUF file, without the cache."""
    file = local_path(registry()[REAL].base)
    where = {"gguf_file": file.name, "local_files_only": True}
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(file.parent, **where)


@torch.no_grad()
def test_logits_are_those_of_plain_transformers_and_peft(pair, published):
    model, tokenizer = published
    ids = [torch.tensor([read_prompt(experiment, pair).ids]) for experiment in PROMPTS]
    plain = [model(prompt).logits for prompt in ids]
    merged = peft.PeftModel.from_pretrained(model, registry()[REAL].instruct).merge_and_unload().eval()
    for prompt, base in zip(ids, plain):
        assert (pair.base(prompt) - base).abs().max() <= TOLERANCE
        assert (pair.instruct(prompt) - merged(prompt).logits).abs().max() <= TOLERANCE


def test_the_models_read_the_prompt_as_published(pair, published):
    _, tokenizer = published
    for experiment in PROMPTS[:2]:
        prompt = read_prompt(experiment, pair)
        assert list(prompt.ids) == tokenizer(prompt.text).input_ids
        assert prompt.ids[0] != tokenizer.bos_token_id


def test_digits_stand_alone_as_the_model_was_trained(pair):
    """Its vocabulary has no token of two digits; the spaces before a number stay together."""
    tokenizer = pair.base.tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer("x  12,345").input_ids) == [
        "x",
        "ĠĠ",
        "1",
        "2",
        ",",
        "3",
        "4",
        "5",
    ]


def test_both_models_together_take_little_more_than_one(pair):
    base, instruct = pair.checkpoints
    assert instruct.parameters == base.parameters and instruct.shared > 0.8 * base.parameters


def test_it_is_the_default_where_it_is_installed():
    assert default_pair() == REAL
