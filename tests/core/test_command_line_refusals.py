"""How `python -m core analyze` refuses: status 2, one line, and no file."""

import json
import shutil
from pathlib import Path

import pytest
from httpx import ReadTimeout, Request, Response
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
from safetensors.torch import load, save

from core.models.pairs import registry
from tests.core.analyzing import GIVEN, run

TINY = registry()["tiny"]


def broken_pair(folder: Path) -> list[str]:
    """A copy of the tiny pair whose INSTRUCT weights are cut short."""
    for name in ("base", "instruct"):
        (folder / name).mkdir()
        for file in Path(getattr(TINY, name)).iterdir():
            data = file.read_bytes()
            cut = name == "instruct" and file.suffix == ".safetensors"
            (folder / name / file.name).write_bytes(data[:-1000] if cut else data)
    return ["--base", str(folder / "base"), "--instruct", str(folder / "instruct")]


def other_shape(folder: Path) -> list[str]:
    """The tiny pair beside a model of other sizes, told by its config alone."""
    arguments = broken_pair(folder)
    path = folder / "instruct" / "config.json"
    config = json.loads(path.read_text()) | {"num_hidden_layers": 77}
    path.write_text(json.dumps(config))
    weights = "model.safetensors"
    (folder / "instruct" / weights).write_bytes((Path(TINY.instruct) / weights).read_bytes())
    return arguments


def pickled(folder: Path) -> list[str]:
    arguments = broken_pair(folder)
    (folder / "instruct" / "model.safetensors").rename(folder / "instruct" / "pytorch_model.bin")
    return arguments


def tiny_with(folder: Path, name: str, change) -> list[str]:
    """The tiny pair, INSTRUCT's file `name` replaced by change(its bytes)."""
    shutil.copytree(TINY.instruct, folder / "instruct")
    path = folder / "instruct" / name
    path.write_bytes(change(path.read_bytes() if path.exists() else b""))
    return ["--base", TINY.base, "--instruct", str(folder / "instruct")]


def without(name: str):
    """Weights that lack one tensor."""
    return lambda data: save({key: tensor for key, tensor in load(data).items() if key != name})


def infinite(data: bytes) -> bytes:
    weights = load(data)
    weights["model.layers.0.mlp.down_proj.weight"].fill_(float("inf"))
    return save(weights)


def swapped(a: str, b: str):
    """A tokenizer in which two words have each other's ids."""

    def change(data: bytes) -> bytes:
        tokenizer = json.loads(data)
        vocab = tokenizer["model"]["vocab"]
        vocab[a], vocab[b] = vocab[b], vocab[a]
        return json.dumps(tokenizer).encode()

    return change


WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TEMPLATE, REFUSING = "chat_template.jinja", b"{{ raise_exception('only tools') }}{{ messages[0]['content'] }}"
VALUES = "model.layers.2.self_attn.v_proj.weight"
REFUSED = {
    "empty sentence": (["--sentence", " ", "--original", "quick"], "sentence is empty"),
    "ten thousand words": (["--sentence", "quick " + "word " * 10_000, "--original", "quick"], "at most"),
    "three thousand words": (["--sentence", "quick " + "a " * 3_000, "--original", "quick"], "at most 512"),
    "no such word": (["--sentence", "The dog", "--original", "quick"], "does not stand in the sentence"),
    "word twice": (["--sentence", "quick quick dog", "--original", "quick"], "stands 2 times"),
    "several tokens": ([*GIVEN, "--answer", "swift-footed"], "' swift'"),
    "answer is original": ([*GIVEN, "--answer", "Quick"], "original word itself"),
    "control character": (["--sentence", "The quick \x07 fox", "--original", "quick"], "U+0007"),
    "unknown pair": ([*GIVEN, "--pair", "nix"], "tiny"),
    "pair and paths": ([*GIVEN, "--pair", "tiny", "--base", "a", "--instruct", "b"], "not both"),
    "one model only": ([*GIVEN, "--base", "/nowhere"], "name the instruct model too"),
    "wrong path": ([*GIVEN, "--base", "/nowhere", "--instruct", "/nowhere"], "no folder '/nowhere'"),
    "unknown device": ([*GIVEN, "--device", "warp"], "'warp'"),
    "absent device": ([*GIVEN, "--device", "cuda:99"], "cuda:99"),
    "no such colon": ([*GIVEN, "--colon", "7"], "number 7"),
    "token outside": ([*GIVEN, "--token", "999"], "position 999"),
    "unknown site": ([*GIVEN, "--sweeps", "z,foo"], "'foo'"),
    "unknown position": ([*GIVEN, "--sweeps", "z", "--positions", "somewhere"], "'somewhere'"),
    "a weight at a position": ([*GIVEN, "--sweeps", "z,w_head", "--positions", "end"], "w_head is a weight"),
    "position outside": ([*GIVEN, "--sweeps", "z", "--positions", "999"], "'999'"),
    "unknown direction": ([*GIVEN, "--direction", "up"], "'up'"),
    "unknown flag": ([*GIVEN, "--nonsense"], "--nonsense"),
    "no sentence": (["--original", "quick"], "--sentence"),
    "cut weights": (lambda folder: [*GIVEN, *broken_pair(folder)], "cut short"),
    "other sizes": (lambda folder: [*GIVEN, *other_shape(folder)], "INSTRUCT has 77"),
    "missing weights": (lambda folder: [*GIVEN, *tiny_with(folder, WEIGHTS, without(VALUES))], VALUES),
    "infinite weights": (lambda folder: [*GIVEN, *tiny_with(folder, WEIGHTS, infinite)], "no finite numbers"),
    "config of another kind": (lambda folder: [*GIVEN, *tiny_with(folder, "config.json", lambda _: b"[]")], "no JSON"),
    "cut index": (lambda folder: [*GIVEN, *tiny_with(folder, INDEX, lambda _: b'{"weig')], "cannot be read"),
    "index without files": (lambda folder: [*GIVEN, *tiny_with(folder, INDEX, lambda _: b"{}")], "no weight files"),
    "another answer in BASE": (
        lambda folder: [*GIVEN, *tiny_with(folder, "tokenizer.json", swapped("Ġswift", "Ġfast"))],
        "BASE reads as ' swift'",
    ),
    "unknown template": ([*GIVEN, "--template", "alpaca"], "'alpaca'"),
    "no template": ([*GIVEN, "--template", "chat"], "template missing: "),
    "a template that refuses": (
        lambda folder: [*GIVEN, "--template", "chat", *tiny_with(folder, TEMPLATE, lambda _: REFUSING)],
        "only tools; choose the template raw",
    ),
    "a free prompt with a template": (
        ["--prompt", "The", "--original", " quick", "--answer", " swift", "--template", "chat"],
        "choose the template raw",
    ),
    "empty pair": ([*GIVEN, "--pair", ""], "--pair is empty"),
    "empty model": ([*GIVEN, "--base", "", "--instruct", ""], "--base is empty"),
    "blank answer": ([*GIVEN, "--answer", " "], "answer is empty"),
    "a position for no sweep": ([*GIVEN, "--positions", "somewhere"], "'somewhere'"),
    "no colon at all": (["--prompt", "The", "--original", " quick", "--answer", " swift", "--colon", "1"], "no “:”"),
    "pickled weights": (lambda folder: [*GIVEN, *pickled(folder)], "only safetensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_status_2_one_line_and_no_file(case, capsys, tmp_path):
    arguments, message = REFUSED[case]
    arguments = arguments(tmp_path) if callable(arguments) else arguments
    target = tmp_path / "out.json"
    status, out, err = run(capsys, *arguments, "--json", target, "--csv", tmp_path / "tables")
    assert status == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n")
    assert message in err
    assert not target.exists() and not (tmp_path / "tables").exists()


def test_a_hub_that_cannot_be_reached_is_told_with_the_way_out(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    status, _, err = run(capsys, *GIVEN, "--pair", "smollm2-135m", "--json", tmp_path / "o.json")
    assert status == 2 and "HuggingFaceTB/SmolLM2-135M" in err and "--base" in err


def test_a_gated_model_without_access_is_told_with_the_way_out(capsys, tmp_path, monkeypatch):
    def refuse(name, **_):
        raise GatedRepoError("403", response=Response(403, request=Request("GET", "https://hub.invalid")))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    status, _, err = run(capsys, *GIVEN, "--pair", "llama-3.2-1b", "--json", tmp_path / "o.json")
    assert status == 2 and "gated" in err and "HF_TOKEN" in err


def test_too_little_memory_is_told_before_weights_are_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("core.models.room.free_bytes", lambda device: 1000)
    status, _, err = run(capsys, *GIVEN, "--json", tmp_path / "o.json")
    assert status == 2 and "GB free" in err and "smaller" in err


def test_a_pair_too_large_for_the_memory_set_aside_is_not_even_looked_for(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("REPHRASE_MEMORY_GB", "10")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("downloaded"))
    status, _, err = run(capsys, *GIVEN, "--pair", "llama-3.1-8b", "--json", tmp_path / "o.json")
    assert status == 2 and "32.1 GB" in err and "REPHRASE_MEMORY_GB" in err


@pytest.mark.parametrize(
    "error, message",
    [
        (lambda response: HfHubHTTPError("busy", response=response(429)), "status 429; too many requests"),
        (lambda response: HfHubHTTPError("who", response=response(401)), "status 401; set HF_TOKEN"),
        (lambda response: ReadTimeout("slow"), "broke off (ReadTimeout"),
        (lambda response: OSError("disk is full"), "disk is full"),
    ],
)
def test_what_the_hub_answers_is_told_apart(capsys, tmp_path, monkeypatch, error, message):
    def refuse(name, **_):
        raise error(lambda status: Response(status, request=Request("GET", "https://hub.invalid")))

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    status, _, err = run(capsys, *GIVEN, "--pair", "smollm2-135m", "--json", tmp_path / "o.json")
    assert status == 2 and message in err and "SmolLM2-135M" in err and err.count("\n") == 1


def test_nothing_is_left_where_one_file_cannot_be_written(capsys, tmp_path):
    target = tmp_path / ("x" * 300)
    status, _, _ = run(capsys, *GIVEN, "--json", target, "--csv", tmp_path / "tables")
    assert status == 2 and list(tmp_path.iterdir()) == []


def test_one_place_for_two_files_is_refused(capsys, tmp_path):
    for place in (tmp_path / "tables", tmp_path / "tables" / "summary.csv"):
        (tmp_path / "tables").mkdir(exist_ok=True)
        status, _, err = run(capsys, *GIVEN, "--json", place, "--csv", tmp_path / "tables")
        assert status == 2 and "different places" in err


def test_a_bad_setting_is_refused_by_its_name(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("REPHRASE_MAX_TOKENS", "many")
    status, _, err = run(capsys, *GIVEN, "--json", tmp_path / "o.json")
    assert status == 2 and "REPHRASE_MAX_TOKENS" in err
