import pathlib
from dataclasses import FrozenInstanceError, fields

import pytest

from core.settings import Settings, settings, variables


def test_nothing_set_gives_the_defaults():
    assert settings({}) == Settings() == settings({"REPHRASE_DEVICE": "", "REPHRASE_MEMORY_GB": " ", "HOME": "/"})


def test_every_setting_is_read_from_its_variable(tmp_path):
    pairs = tmp_path / "pairs.toml"
    pairs.touch()
    bundle = tmp_path / "talk.sqlite"
    bundle.touch()
    presets = tmp_path / "presets.toml"
    presets.touch()
    given = {
        "PAIRS": str(pairs),
        "PAIR": "mine",
        "CACHE": str(tmp_path / "not/there/yet"),
        "DEVICE": "cuda:1",
        "DTYPE": "bfloat16",
        "MEMORY_GB": "15.5",
        "RESULTS_MB": "64",
        "STORE_MB": "0",
        "GALLERY": str(bundle),
        "SHIPPED": "no",
        "PRESETS": str(presets),
        "THREADS": "3",
        "HOSTED": "Yes",
        "OPERATOR": "open sesame",
        "MAX_TOKENS": "100",
        "MAX_SESSIONS": "50",
        "MAX_JOBS": "5",
        "MAX_JOBS_ADDRESS": "0",
        "MAX_SECONDS": "60",
        "MAX_SWEEPS": "12",
        "SIGN_IN": "on",
        "ALLOWED": "@example.org, ann@example.com",
        "OPERATORS": "ann@example.com",
        "LOG": "text",
        "LOG_PROMPTS": "1",
    }
    read = settings({f"REPHRASE_{name}": value for name, value in given.items()})
    assert read == Settings(
        pairs=pairs,
        pair="mine",
        cache=tmp_path / "not/there/yet",
        device="cuda:1",
        dtype="bfloat16",
        memory_gb=15.5,
        results_mb=64,
        store_mb=0,
        gallery=bundle,
        shipped=False,
        presets=presets,
        threads=3,
        hosted=True,
        operator="open sesame",
        max_tokens=100,
        max_sessions=50,
        max_jobs=5,
        max_jobs_address=0,
        max_seconds=60,
        max_sweeps=12,
        sign_in=True,
        allowed=("@example.org", "ann@example.com"),
        operators=("ann@example.com",),
        log="text",
        log_prompts=True,
    )
    assert (read.results_bytes, read.store_bytes) == (64_000_000, 0)
    assert read.store_file == tmp_path / "not/there/yet/answers.sqlite"
    assert {f"REPHRASE_{name}" for name in given} == {variable.name for variable in variables()}


def test_the_environment_is_read_when_asked_not_on_import(monkeypatch):
    monkeypatch.setenv("REPHRASE_THREADS", "7")
    assert settings().threads == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAIRS", "/no/such/pairs.toml"),
        ("PAIRS", "/"),
        ("CACHE", __file__),
        ("DEVICE", "gpu"),
        ("DEVICE", "cuda:"),
        ("DEVICE", "cuda:0 and more"),
        ("DTYPE", "int8"),
        ("MEMORY_GB", "0"),
        ("MEMORY_GB", "-3"),
        ("MEMORY_GB", "nan"),
        ("MEMORY_GB", "inf"),
        ("MEMORY_GB", "16 GB"),
        ("ALLOWED", "everybody"),
        ("OPERATORS", "ann@example.com,"),
        ("MAX_SESSIONS", "-1"),
        ("LOG", "xml"),
        ("RESULTS_MB", "1.5"),
        ("STORE_MB", "-1"),
        ("STORE_MB", "0.5"),
        ("GALLERY", "/no/such/talk.sqlite"),
        ("PRESETS", "/no/such/presets.toml"),
        ("THREADS", "0"),
        ("HOSTED", "maybe"),
        ("MAX_TOKENS", "-1"),
    ],
)
def test_a_bad_value_is_refused_naming_variable_value_and_what_is_accepted(name, value):
    accepted = {variable.name: variable.accepts for variable in variables()}[f"REPHRASE_{name}"]
    with pytest.raises(ValueError) as refused:
        settings({f"REPHRASE_{name}": value})
    assert str(refused.value) == f"REPHRASE_{name} is {value!r}; accepted: {accepted}"


def test_a_misspelt_setting_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="REPHRASE_HOSTD is not a setting; did you mean REPHRASE_HOSTED?"):
        settings({"REPHRASE_HOSTD": "1"})


def test_every_setting_says_what_it_is_and_what_it_accepts():
    assert len(variables()) == len(fields(Settings))
    for variable in variables():
        assert variable.name.startswith("REPHRASE_") and variable.description.endswith(".") and variable.accepts


def test_settings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        settings({}).hosted = True


def test_a_home_folder_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pairs.toml").touch()
    assert settings({"REPHRASE_PAIRS": "~/pairs.toml"}).pairs == pathlib.Path(tmp_path / "pairs.toml")
