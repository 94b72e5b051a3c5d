"""Streamlit's own files: the same bytes from memory, and its first page with links to what every page needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from streamlit.file_util import get_static_dir
from streamlit.web.server.starlette.starlette_app import create_streamlit_middleware
from streamlit.web.server.starlette.starlette_routes import create_host_config_routes
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_handler

from pages.shared.front import CHUNKS, Front, announcing, chunks

STATIC = Path(get_static_dir())
SMALL = {
    "PlotlyChart.aa.js": 'import{o}from"./shared.bb.js";import"./gone.cc.js";',
    "shared.bb.js": 'import"./deep.dd.js";',
    "deep.dd.js": "",
    "Other.ee.js": "",
}
# Longer than what Streamlit compresses.
INDEX = f'<html><head><script src="./static/js/deep.dd.js"></script></head><body>{" " * 5000}</body></html>'


# As a browser asks for a page, and for what the page names.
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br"}


def client(folder: Path) -> TestClient:
    handler = create_streamlit_static_handler(str(folder), None)
    server = Starlette(routes=[Mount("/", handler)], middleware=create_streamlit_middleware())
    return TestClient(Front(server, folder))


@pytest.fixture
def small(tmp_path):
    (tmp_path / "static/js").mkdir(parents=True)
    for name, text in SMALL.items():
        (tmp_path / "static/js" / name).write_text(text)
    (tmp_path / "index.html").write_text(INDEX)
    return tmp_path


def test_the_installed_streamlit_has_every_chunk_that_pages_need():
    for stem in CHUNKS:
        assert any(name.startswith(f"{stem}.") for name in chunks(STATIC / "static/js")), stem


def test_every_chunk_stands_behind_what_it_imports_and_nothing_else_is_there(small):
    assert chunks(small / "static/js") == ["deep.dd.js", "shared.bb.js", "PlotlyChart.aa.js"]


@pytest.mark.parametrize("path", ["/", "/attention", "/head?l=1"])
def test_the_first_page_names_the_chunks_once_whatever_page_is_opened(small, path):
    answer = client(small).get(path, headers=PAGE)
    assert answer.status_code == 200 and answer.text.count("modulepreload") == 2
    assert '<link rel="modulepreload" crossorigin href="./static/js/PlotlyChart.aa.js">' in answer.text
    assert answer.headers["content-length"] == str(len(answer.content)) and "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.replace("\n", "").endswith(INDEX.partition("</script>")[2])


def test_the_first_page_tells_of_hosts_what_the_server_would(small):
    server = TestClient(Starlette(routes=create_host_config_routes(None)))
    told = re.search(r"HOST_CONFIG: (\{.*?\})\}</script>", client(small).get("/attention", headers=PAGE).text)
    answer = server.get("/_stcore/host-config").json()
    # Of lists that are empty the frontend would take no notice.
    assert json.loads(told[1]).items() <= answer.items() and answer["allowedOrigins"]


def test_without_such_chunks_the_first_page_is_streamlits_own(small):
    (small / "static/js/PlotlyChart.aa.js").unlink()
    assert client(small).get("/", headers=PAGE).text == INDEX
    assert announcing(b"no head", ["a.js"]) == b"no head"


def test_every_file_is_served_as_streamlit_serves_it():
    plain, front = (TestClient(create_streamlit_static_handler(str(STATIC), None)), client(STATIC))
    files = [path for kind in ("js", "css", "woff2") for path in sorted(STATIC.rglob(f"*.{kind}"))[:3]]
    for path in files:
        address = f"/{path.relative_to(STATIC).as_posix()}"
        ours, theirs = front.get(address), plain.get(address)
        assert ours.content == theirs.content == path.read_bytes()
        assert sorted(ours.headers["cache-control"].split(", ")) == sorted(theirs.headers["cache-control"].split(", "))
        assert ours.headers["content-type"] == theirs.headers["content-type"]


def test_a_part_of_a_file_or_a_question_about_it_is_left_to_streamlit(small):
    address = "/static/js/shared.bb.js"
    part = client(small).get(address, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.text) == (206, "impo")
    # Streamlit's answers have a mark.
    assert "etag" in client(small).head(address).headers


@pytest.mark.parametrize(
    "path", ["/%2e%2e/secret", "/static/%2e%2e/%2e%2e/secret", "/static/js/../%2e%2e/%2e%2e/secret"]
)
def test_no_path_leads_out_of_the_folder(small, path):
    (small.parent / "secret").write_text("secret")
    assert "secret" not in client(small).get(path).text
