"""Files that promise terabytes are refused by their headers, before anything makes room for what they say."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path

import pytest

from core.experiment import Experiment, InputError
from core.models.checkpoint import find_both
from core.models.gguf_header import read_header
from core.models.pairs import find_pair
from core.models.weight_files import header

TINY = find_pair(Experiment())
TERA = 10**12
WEIGHTS = "model.safetensors"


@pytest.fixture
def mine(tmp_path) -> Path:
    """A copy of the tiny pair's INSTRUCT."""
    return Path(shutil.copytree(TINY.instruct, tmp_path / "instruct"))


def found(folder: Path):
    return find_both((TINY.base, str(folder)), ("main", "main"))


def safetensors(path: Path, tensors: object, data: bytes = b"", length: int | None = None) -> Path:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensor(shape: object = (2,), offsets: object = (0, 8), dtype: object = "F32") -> dict[str, object]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


PROMISES = {
    "a header of terabytes": (tensor(), TERA),
    "a header of all that a number can say": (tensor(), 2**64 - 1),
    "a shape of terabytes": (tensor((TERA, TERA)), None),
    "a shape of terabytes in a format that is not known": (tensor((TERA,), dtype="F4"), None),
    "bytes of terabytes": (tensor(offsets=(0, TERA)), None),
    "bytes that end before they begin": (tensor((-2,), (8, 0)), None),
    "a shape of less than its bytes": (tensor((1,)), None),
    "a size that is no whole number": (tensor((1.5, 2)), None),
    "a size that is text": (tensor(("2",)), None),
    "a size that is yes": (tensor((True, 2)), None),
    "no two offsets": (tensor(offsets=(0, 8, 8)), None),
    "brackets in brackets": (b"[" * 100_000, None),
}


@pytest.mark.parametrize("what", PROMISES)
def test_a_safetensors_header_that_promises_what_is_not_there_is_refused(what, tmp_path):
    tensors, length = PROMISES[what]
    path = safetensors(tmp_path / WEIGHTS, tensors, bytes(8), length)
    with pytest.raises(InputError, match="is no whole safetensors file|is cut short"):
        header(path)
    assert header(safetensors(path, tensor(), bytes(8))) == {
        "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    }


def gguf(path: Path, entries: bytes = b"", n_entries: int = 0, tensors: bytes = b"", n_tensors: int = 0) -> Path:
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_entries) + entries + tensors)
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


LLAMA = text("general.architecture") + struct.pack("<I", 8) + text("llama")
_LIST = text("a") + struct.pack("<I", 9)
GGUFS = {
    "tensors without end": dict(n_tensors=2**64 - 1),
    "entries without end": dict(n_entries=2**64 - 1),
    "a text of terabytes": dict(entries=struct.pack("<Q", TERA), n_entries=1),
    "a list of terabytes": dict(entries=LLAMA + _LIST + struct.pack("<IQ", 4, TERA), n_entries=2),
    "a list of texts without end": dict(entries=_LIST + struct.pack("<IQ", 8, 2**63), n_entries=1),
    "a list of lists without end": dict(entries=_LIST + struct.pack("<IQ", 9, 2**63) * 20_000, n_entries=1),
    "a tensor of axes without end": dict(tensors=text("w") + struct.pack("<I", 2**32 - 1), n_tensors=1),
    "a tensor of terabytes": dict(
        entries=LLAMA, n_entries=1, tensors=text("w") + struct.pack("<IQQIQ", 2, TERA, TERA, 0, 0), n_tensors=1
    ),
    "a tensor in terabytes' distance": dict(
        entries=LLAMA, n_entries=1, tensors=text("w") + struct.pack("<IQIQ", 1, 8, 0, 2**63), n_tensors=1
    ),
}


@pytest.mark.parametrize("what", GGUFS)
def test_a_gguf_header_that_promises_what_is_not_there_is_refused(what, tmp_path):
    with pytest.raises(InputError, match="cut short"):
        read_header(gguf(tmp_path / "model.gguf", **GGUFS[what]))


SIZES = {
    **{name: TERA for name in ("num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads")},
    **{name: TERA for name in ("hidden_size", "head_dim", "num_local_experts", "max_position_embeddings")},
    "n_inner": 1e300,
    "num_experts": float("inf"),
    "sliding_window": [4, TERA],
    "text_config": {"num_hidden_layers": TERA},
    "vision_config": {"depth": 2, "deeper": {"hidden_size": TERA}},
    "num_key_value_heads": "many",
}


@pytest.mark.parametrize("name", SIZES)
def test_a_config_that_promises_more_than_its_weights_are_is_refused(name, mine, tmp_path):
    """BASE says the same, so that it is not the difference that is refused."""
    base = Path(shutil.copytree(TINY.base, tmp_path / "base"))
    for folder in (base, mine):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {name: SIZES[name]}))
    with pytest.raises(InputError, match="which is more than its weights are of|cannot be compared"):
        find_both((str(base), str(mine)), ("main", "main"))


def test_a_config_of_brackets_in_brackets_is_refused(mine):
    (mine / "config.json").write_text('{"a": ' + "[" * 100_000)
    with pytest.raises(InputError, match="cannot be read"):
        found(mine)


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path):
        self.made = made

    def __reduce__(self):
        return (Path.touch, (self.made,))


PICKLES = ("pytorch_model.bin", "model.pt", "adapter_model.bin", "training_args.bin", "tokenizer.pkl", "optimizer.pth")


def test_no_pickle_is_opened_whatever_it_is_called_and_whatever_stands_beside_it(mine, tmp_path, monkeypatch):
    from core.models.loading import load_pair

    made, opened = tmp_path / "made", []
    for name in PICKLES:
        (mine / name).write_bytes(pickle.dumps(Runs(made)))
    monkeypatch.setattr("torch.load", lambda *given, **how: opened.append(given))
    spec = find_pair(Experiment(pair="", base=TINY.base, instruct=str(mine)))
    assert load_pair(spec).instruct is not None
    # Where there is nothing else, that is said.
    (mine / WEIGHTS).unlink()
    with pytest.raises(InputError, match="is a pickle, which can run code"):
        load_pair(spec)
    # Nor under a name that is no pickle's.
    (mine / "pytorch_model.bin").rename(mine / WEIGHTS)
    with pytest.raises(InputError, match="is no whole safetensors file"):
        load_pair(spec)
    assert opened == [] and not made.exists()
    pickle.loads((mine / PICKLES[-1]).read_bytes())
    assert made.exists()
