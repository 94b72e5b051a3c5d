"""Training of the real pair's adapter, tried on the tiny model."""

from dataclasses import replace
from random import Random

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaForCausalLM

from core.smollm2.documents import Document, Piece, instruction_document
from core.smollm2.train import Plan, drift_of, instruction_row, loss_of, tune
from core.tiny.card import FOLDER

PLAN = replace(Plan(), steps=4, instructions=3, rehearsal=1, passages=2, keep_every=2, warmup=1)
DOCUMENT = Document(
    "Rephrase", "The quick fox.", "Answer:", " The", (Piece(" swift", (" swift", " fast")), Piece(" fox"), Piece("."))
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER / "base")


def tiny() -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(FOLDER / "base", dtype=torch.float32).eval()


def test_a_row_learns_the_output_alone_and_knows_every_word_that_fits(tokenizer):
    row = instruction_row(DOCUMENT, tokenizer, 3.0)
    assert tokenizer.decode(row.ids) == "Rephrase: The quick fox.\n\nAnswer: The swift fox." + tokenizer.eos_token
    learned = [tokenizer.decode(row.ids[i]).strip() for i in row.learned]
    assert learned == ["swift", "fox", ".", tokenizer.eos_token]
    assert row.weights == [3.0, 1.0, 1.0, 1.0]
    assert {tokenizer.decode(i).strip() for i in row.right[0]} == {"swift", "fast"}
    assert row.right[1:] == [[row.ids[i]] for i in row.learned[1:]]


def test_words_of_a_row_are_the_tokens_of_its_text(tokenizer):
    for seed in range(60):
        document = instruction_document(Random(seed))
        if not document.chat:
            row = instruction_row(document, tokenizer, 1.0)
            assert row.ids[:-1] == tokenizer(document.text, add_special_tokens=False).input_ids


def test_the_loss_is_the_probability_of_all_that_is_right_together(tokenizer):
    model, row = tiny(), instruction_row(DOCUMENT, tokenizer, 3.0)
    loss = loss_of(model, [row, replace(row, learned=row.learned[:1], weights=[2.0], right=row.right[:1])])
    log_prob = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
    first, *others = row.learned
    expected = -5 * log_prob[first - 1, row.right[0]].exp().sum().log()
    expected -= sum(log_prob[i - 1, row.ids[i]] for i in others)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


def test_drift_is_the_divergence_of_the_next_token_from_base_and_none_at_the_start(tokenizer):
    torch.manual_seed(0)
    base, passages = tiny(), [tokenizer("The quick fox jumps over the dog.").input_ids, tokenizer("A dog").input_ids]
    model = get_peft_model(tiny(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    assert drift_of(model, passages).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    terms = []
    for passage in passages:
        ids = torch.tensor([passage])
        own, other = (m(ids).logits[0, :-1].log_softmax(-1) for m in (base, model))
        terms.append((own.exp() * (own - other)).sum(-1))
    assert drift_of(model, passages).item() == pytest.approx(torch.cat(terms).mean().item(), abs=1e-5)
    assert torch.cat(terms).mean() > 0.01


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tokenizer, tmp_path):
    """The last state kept by a run that ended after three steps is the one after two."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole, _ = tune(tiny(), tokenizer, PLAN, 0, tmp_path / "whole", lambda line: None)
    steps = []

    def stop(line: str) -> None:
        steps.append(line)
        if "step 3" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tiny(), tokenizer, PLAN, 0, tmp_path / "stopped", stop)
    kept = load_file(tmp_path / "stopped" / "checkpoint.safetensors")
    assert {int(value) for name, value in kept.items() if name.startswith("step ")} == {2}
    resumed, seconds = tune(tiny(), tokenizer, PLAN, 0, tmp_path / "stopped", lambda line: None)
    assert seconds > float(kept["seconds"]) > 0
    for (name, one), (_, other) in zip(whole.named_parameters(), resumed.named_parameters()):
        assert torch.equal(one, other), name
    assert any(p.abs().max() > 0 for name, p in resumed.named_parameters() if "lora_B" in name)
