"""LoRA adapters: merged they are what PEFT makes of them, and an adapter of another model is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from core.__main__ import main
from core.experiment import Experiment, InputError
from core.models import turns
from core.models.adapters import CONFIG, WEIGHTS
from core.models.loading import find_checkpoints, load_pair
from core.models.pairs import find_pair, registry
from core.models.room import bytes_needed
from core.models.weight_files import weights_hash
from core.runs import run

BASE = Path(registry()["tiny"].base)
NAME = "Someone/Tiny-Base"


def tuned(**options) -> peft.PeftModel:
    """The tiny BASE with an adapter of random weights, large enough to move every logit."""
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"} | options
    torch.manual_seed(0)
    with_adapter = peft.get_peft_model(model, peft.LoraConfig(**options))
    for name, weight in with_adapter.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return with_adapter.eval()


@pytest.fixture
def base(tmp_path) -> Path:
    """The tiny BASE under the name that the adapters of these tests record."""
    return Path(shutil.copytree(BASE, tmp_path / "Tiny-Base"))


def saved(folder: Path, name: str | None = NAME, change=None, weights=None, **options) -> Path:
    """An adapter's folder. name: of the model that it records; change, weights: on its config and its tensors."""
    with_adapter = tuned(**options)
    with_adapter.save_pretrained(folder)
    config, tensors = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    config["base_model_name_or_path"] = name
    (folder / CONFIG).write_text(json.dumps(config | (change or {})))
    save_file(weights(tensors) if weights else tensors, folder / WEIGHTS)
    return folder


def experiment(base: Path, instruct: Path) -> Experiment:
    return Experiment(pair="", base=str(base), instruct=str(instruct), answer="swift")


def load(base: Path, instruct: Path, dtype: str = "float32"):
    return load_pair(find_pair(experiment(base, instruct)), dtype, "cpu")


def expected_logits(ids: torch.Tensor, **options) -> torch.Tensor:
    with torch.no_grad():
        return tuned(**options).merge_and_unload().eval()(ids).logits


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
        dict(use_rslora=True),
        dict(rank_pattern={"v_proj": 2}, alpha_pattern={"layers.1.self_attn.q_proj": 16}),
        dict(layers_to_transform=[1]),
        dict(target_modules=r".*layers\.[02]\.self_attn\.(q|k)_proj"),
    ],
    ids=["plain", "every linear layer", "rsLoRA", "patterns", "one layer", "regular expression"],
)
def test_a_merged_adapter_is_what_peft_makes_of_it(options, tmp_path, base):
    pair = load(base, saved(tmp_path / "adapter", **options))
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        found = [bridge(ids) for bridge in (pair.base, pair.instruct)]
        plain = transformers.AutoModelForCausalLM.from_pretrained(BASE, attn_implementation="eager")(ids).logits
    assert torch.allclose(found[0], plain, atol=1e-5)
    assert torch.allclose(found[1], expected_logits(ids, **options), atol=1e-5)
    assert (found[1] - found[0]).abs().max() > 0.1


def test_only_what_the_adapter_changes_is_held_twice(tmp_path, base):
    pair = load(base, saved(tmp_path / "adapter"))
    weights = [dict(bridge.original_model.named_parameters()) for bridge in (pair.base, pair.instruct)]
    own = {name for name in weights[0] if weights[0][name].data_ptr() != weights[1][name].data_ptr()}
    assert own == {name for name in weights[0] if re.search(r"\.[qv]\.|[qv]_proj", name)}
    checkpoints = pair.checkpoints
    changed = sum(weights[0][name].numel() for name in own)
    assert changed > 0 and checkpoints[1].parameters - checkpoints[1].shared == changed
    whole = find_checkpoints(registry()["tiny"])
    assert bytes_needed(whole, "float32") - bytes_needed(checkpoints, "float32") == 4 * checkpoints[1].shared


def test_where_they_take_turns_only_what_the_adapter_changes_moves(tmp_path, base, monkeypatch):
    spec = find_pair(experiment(base, saved(tmp_path / "adapter")))
    ids, side_by_side = torch.arange(4, 24)[None], load_pair(spec, "float32", "cpu")
    moved = []
    monkeypatch.setattr(turns, "_at_home", lambda home: torch.full_like(home, torch.nan))
    monkeypatch.setattr(turns, "_there", lambda home, device: moved.append(home.numel()) or home)
    pair = load_pair(spec, "float32", "cpu", in_turns=True)
    moved.clear()
    for name in ("base", "instruct", "base"):
        turns.take_turn(getattr(pair, name))
        with torch.no_grad():
            assert torch.equal(getattr(pair, name)(ids), getattr(side_by_side, name)(ids))
    assert sum(moved) == 3 * (pair.checkpoints[1].parameters - pair.checkpoints[1].shared)


def test_running_the_merged_model_leaves_base_as_it_was(tmp_path, base):
    pair = load(base, saved(tmp_path / "adapter"))
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        before = pair.base(ids)
        run(experiment(base, tmp_path / "adapter"), pair)
        pair.instruct(ids)
        assert torch.equal(pair.base(ids), before)


def test_in_half_precision_the_sum_is_rounded_once(tmp_path, base):
    pair = load(base, saved(tmp_path / "adapter"), "bfloat16")
    exact = tuned().merge_and_unload().state_dict()["model.layers.0.self_attn.q_proj.weight"]
    found = dict(pair.instruct.original_model.named_parameters())
    name = next(name for name in found if "layers.0" in name and re.search(r"\.q\.|q_proj", name) and "weight" in name)
    assert torch.equal(found[name], exact.bfloat16())


def test_an_adapter_of_instruct_can_be_base(tmp_path, base):
    pair = load(saved(tmp_path / "adapter"), base)
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        assert torch.allclose(pair.base(ids), expected_logits(ids), atol=1e-5)


def test_the_manifest_names_the_adapter_and_its_model(tmp_path, base):
    adapter = saved(tmp_path / "adapter")
    manifest = load(base, adapter).manifest
    assert manifest["instruct"]["model"] == str(adapter)
    assert manifest["instruct"]["adapter_sha256"] == weights_hash(adapter)
    assert manifest["instruct"]["weights_sha256"] == manifest["base"]["weights_sha256"] == weights_hash(base)
    assert manifest["libraries"]["peft"] == peft.__version__


def test_the_adapters_own_tokenizer_is_taken_where_it_has_one(tmp_path, base):
    adapter = saved(tmp_path / "adapter")
    assert find_checkpoints(find_pair(experiment(base, adapter)))[1].tokenizer_folder == base
    shutil.copy(base / "tokenizer.json", adapter)
    # Without its config it would read texts in another way, and put no BOS before them.
    assert find_checkpoints(find_pair(experiment(base, adapter)))[1].tokenizer_folder == base
    shutil.copy(base / "tokenizer_config.json", adapter)
    assert find_checkpoints(find_pair(experiment(base, adapter)))[1].tokenizer_folder == adapter
    assert load(base, adapter).instruct.tokenizer("a dog").input_ids


def refused(base: Path, adapter: Path, whole: bool = False) -> str:
    """The message; whole: of loading too, not of the files alone."""
    with pytest.raises(InputError) as error:
        load(base, adapter) if whole else find_checkpoints(find_pair(experiment(base, adapter)))
    assert error.value.field == "pair" and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "Mirror/tiny_base",
        "/home/anna/models/Tiny-Base/",
        "unsloth/tiny-base-bnb-4bit",
        "tiny-base.Q4_K_M.gguf",
        None,
    ],
)
def test_the_same_model_under_another_place_is_accepted(name, tmp_path, base):
    assert find_checkpoints(find_pair(experiment(base, saved(tmp_path / "adapter", name=name))))[1].adapter


@pytest.mark.parametrize(
    "name", ["Someone/Tiny-Base-Instruct", "Someone/Tiny-Base-2", "/home/anna/checkpoints/step-500"]
)
def test_an_adapter_for_another_base_is_refused_by_name(name, tmp_path, base):
    message = refused(base, saved(tmp_path / "adapter", name=name))
    assert f"was made for {name!r}" in message and str(base)[:20] in message and "base_model_name_or_path" in message


def test_a_folder_of_any_name_is_known_by_its_weights(tmp_path, base):
    here = base.rename(tmp_path / "renamed")
    assert find_checkpoints(find_pair(experiment(here, saved(tmp_path / "by path", name=str(BASE)))))
    assert "was made for" in refused(here, saved(tmp_path / "other", name=registry()["tiny"].instruct))
    stated = saved(tmp_path / "stated", change={"base_sha256": weights_hash(BASE)})
    assert find_checkpoints(find_pair(experiment(here, stated)))
    assert "was made for" in refused(here, saved(tmp_path / "wrong", change={"base_sha256": "0" * 64}))


def test_an_adapter_for_another_shape_is_refused(tmp_path, base):
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    narrow = saved(tmp_path / "narrow", weights=lambda tensors: tensors | {key: tensors[key][:, :-8].contiguous()})
    assert "changes 'model.layers.0.self_attn.q_proj' of" in refused(base, narrow)
    deep = saved(
        tmp_path / "deep",
        weights=lambda tensors: {name.replace("layers.0", "layers.40"): value for name, value in tensors.items()},
    )
    assert "there is none" in refused(base, deep)


def without(part: str):
    return lambda tensors: {name: value for name, value in tensors.items() if part not in name}


def broken(value: float):
    return lambda tensors: {name: torch.full_like(tensor, value) for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(change={"r": 8}), "has rank 4 × 4 .* its config says 8"),
        (dict(change={"rank_pattern": {"q_proj": 2}}), "its config says 2"),
        (dict(weights=without("layers.0.self_attn.q_proj.lora_B")), "lacks a half of .*layers.0.self_attn.q_proj"),
        (dict(weights=without("layers.0")), r"names 'model\.layers\.0\..*holds no weights"),
        (dict(change={"target_modules": ["q_proj"]}), r"weights for .*v_proj.*does not name"),
        (dict(weights=lambda tensors: {}), "holds no LoRA weights"),
        (dict(weights=lambda t: t | {"base_model.model.lm_head.weight": torch.ones(2, 2)}), "no part of a LoRA"),
        (dict(weights=broken(float("nan"))), "no finite numbers"),
        (dict(weights=broken(1e30)), "no finite numbers"),
        (dict(use_dora=True), "no part of a LoRA|use_dora = 'True'"),
        (dict(change={"use_dora": True}), "use_dora = 'True'.*merge it yourself"),
        (dict(modules_to_save=["lm_head"]), "modules_to_save"),
        (dict(change={"bias": "all"}), "bias = 'all'"),
        (dict(change={"init_lora_weights": "pissa"}), "init_lora_weights = 'pissa'"),
        (dict(change={"something_new": True}), "something_new"),
        (dict(change={"peft_type": "IA3"}), "of the kind IA3"),
        (dict(change={"r": None}), "states no rank r"),
        (dict(change={"rank_pattern": ["q_proj"]}), "rank_pattern.*no ranks by pattern"),
        (dict(change={"rank_pattern": {"(": 4}}), "rank_pattern.*no ranks by pattern"),
        (dict(change={"rank_pattern": {"(q+)+": 4}}), r"by '\(q\+\)\+', which may be compared for ever"),
        (dict(change={"target_modules": ".*.*.*.*_proj"}), "may be compared for ever"),
        (dict(change={"base_model_name_or_path": None, "base_sha256": "0" * 64}), "made for a model of the hash '0000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_whole_plain_lora_is_refused(change, message, tmp_path, base):
    assert re.search(message, refused(base, saved(tmp_path / "adapter", **change), whole=True))


def test_files_that_are_not_whole_are_refused(tmp_path, base):
    adapter = saved(tmp_path / "adapter")
    weights = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).write_bytes(weights[:-5])
    assert "cut short" in refused(base, adapter)
    (adapter / WEIGHTS).rename(adapter / "adapter_model.bin")
    assert "is a pickle" in refused(base, adapter)
    (adapter / CONFIG).write_text("[]")
    assert "no JSON object" in refused(base, adapter)


def test_two_adapters_and_a_folder_of_both_kinds_are_refused(tmp_path, base):
    adapter = saved(tmp_path / "adapter")
    assert "both adapters" in refused(adapter, adapter)
    shutil.copytree(adapter, base, dirs_exist_ok=True)
    assert "both a model and an adapter" in refused(base, adapter)


def test_an_adapter_of_a_tied_unembedding_is_refused(tmp_path, base):
    """Merged into one of the two, it would change the other as well."""
    weights = load_file(base / "model.safetensors")
    vocab, width = weights["model.embed_tokens.weight"].shape
    save_file(weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}, base / "model.safetensors")
    config = json.loads((base / "config.json").read_text()) | {"tie_word_embeddings": True}
    (base / "config.json").write_text(json.dumps(config))
    halves = {"A": torch.ones(4, width), "B": torch.ones(vocab, 4)}
    adapter = saved(
        tmp_path / "adapter",
        weights=lambda _: {f"base_model.model.lm_head.lora_{side}.weight": half for side, half in halves.items()},
    )
    assert "embedding and unembedding in one" in refused(base, adapter)


def test_the_command_line_takes_an_adapter_and_refuses_another_models_in_one_line(tmp_path, base, capsys):
    out, given = tmp_path / "out.json", ["--sentence", "The quick fox jumps over the dog.", "--original", "quick"]
    adapter = saved(tmp_path / "adapter")
    models = ["analyze", "--base", str(base), "--instruct", str(adapter)]
    assert main([*models, *given, "--answer", "swift", "--json", str(out)]) == 0
    written = json.loads(out.read_text())
    assert written["manifest"]["instruct"]["adapter_sha256"] == weights_hash(adapter)
    before, after = (row["logit_diff"] for row in written["summary"])
    assert before != after
    out.unlink()
    capsys.readouterr()
    models[-1] = str(saved(tmp_path / "other", name="Someone/Another-Model"))
    capsys.readouterr()
    assert main([*models, *given, "--json", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "was made for 'Someone/Another-Model'" in said and not out.exists()
