"""What is done before the first visitor: the run of a page that follows has nothing of it left to do."""

import json
import os
import subprocess
import sys

from tests.gallery import FRAME, PAGES

# Its answers come from the gallery, so that every figure is drawn and nothing is computed.
_VISIT = """
import json, sys
from streamlit.testing.v1 import AppTest
{before}
seen = set(sys.modules)
for page in {pages!r}:
    test = AppTest.from_file({frame!r}, default_timeout=120).run()
    if page:
        test.switch_page(page + "/page.py").run()
    assert not test.exception
    assert any("recorded before" in text.value for text in test.markdown), page
print(json.dumps([sorted(set(sys.modules) - seen), "torch" in sys.modules]))
"""
_OURS = ("pages.", "core.", "cache.", "plotly.", "pyarrow.", "huggingface_hub.", "streamlit.")
# The server's own, from its start.
_SERVERS = ("streamlit.testing.", "streamlit.components.v2.manifest_scanner")


def imported_late(folder, before: str) -> set[str]:
    """What the first visits to all pages import after `before` was run."""
    script = _VISIT.format(before=before, frame=str(FRAME), pages=PAGES)
    environment = {**os.environ, "REPHRASE_CACHE": str(folder), "REPHRASE_STORE_MB": "8", "REPHRASE_SHIPPED": "1"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    late, woken = json.loads(run.stdout.splitlines()[-1])
    assert not woken
    return {name for name in late if name.startswith(_OURS) and not name.startswith(_SERVERS)}


def test_the_first_visitor_of_a_page_waits_for_no_import(tmp_path):
    assert imported_late(tmp_path, "from pages.shared.first_run import prepare; prepare()") == set()


def test_without_preparation_the_first_visitor_would_wait_for_them(tmp_path):
    assert {"plotly.graph_objs.layout.xaxis.title", "pages.shared.prompt_bar"} <= imported_late(tmp_path, "")
