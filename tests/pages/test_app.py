"""How the app starts, and how it does not."""

import pytest

from tests.browser.server import server


def test_a_server_that_would_import_modules_anew_and_load_models_twice_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="without a file watcher"):
        with server(tmp_path / "log", STREAMLIT_SERVER_FILE_WATCHER_TYPE="auto"):
            pass


def test_a_presets_file_that_cannot_be_read_ends_the_start_with_one_line(tmp_path):
    file = tmp_path / "talk.toml"
    file.write_text("[[preset]]\nsentense = 'The quick fox.'\n")
    with pytest.raises(RuntimeError, match="error: preset 1 in .* unknown key 'sentense'"):
        with server(log := tmp_path / "log", REPHRASE_PRESETS=str(file)):
            pass
    assert "Traceback" not in log.read_text()
