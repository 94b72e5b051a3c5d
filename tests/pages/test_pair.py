"""The choice of a pair, the app run without a browser."""

from __future__ import annotations

import pytest

from tests.pages.app import opened

LISTED = """
[[pair]]
id = "absent"
title = "Absent pair"
base = "package:llm_no_such_package/x.gguf"
instruct = "./adapter"
"""


@pytest.fixture
def captions(tmp_path, monkeypatch, forget):
    """settings → what the settings say below their inputs, once opened, with a listed pair that is not installed."""
    (tmp_path / "pairs.toml").write_text(LISTED)

    def shown(**settings: str) -> str:
        for name, value in {"PAIRS": str(tmp_path / "pairs.toml"), "PAIR": "tiny", **settings}.items():
            monkeypatch.setenv(f"REPHRASE_{name}", value)
        forget()
        test = opened().run()
        test.session_state["settings"] = True
        return "\n".join(caption.value for caption in test.run().caption)

    return shown


def test_what_a_pair_lacks_is_said_with_its_remedy_before_anybody_chooses_it(captions):
    said = captions().replace("\\", "")
    assert "Absent pair: the Python package 'llm_no_such_package' is not installed; install it" in said


def test_visitors_of_a_public_demo_are_not_told_what_to_install(captions):
    assert "Absent pair" not in captions(HOSTED="1")
