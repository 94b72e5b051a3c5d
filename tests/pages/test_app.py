"""How the app starts, and how it does not."""

import pytest

from tests.browser.server import server


def test_a_server_that_would_import_modules_anew_and_load_models_twice_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="without a file watcher"):
        with server(tmp_path / "log", STREAMLIT_SERVER_FILE_WATCHER_TYPE="auto"):
            pass
