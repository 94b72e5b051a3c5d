"""The proxy's configuration: what it passes on, what it refuses, and what it says to browsers."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack

import httpx
import pytest

from tests.hosting.upstream import BODY, upstream

STREAM = "/_stcore/stream"
HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def behind():
    with upstream() as told:
        yield told


@pytest.fixture(scope="module")
def proxy(behind, proxied):
    return proxied(behind.port)


@pytest.fixture
def ask(proxy, behind):
    """method, path, options → the answer of the proxy; what was asked before is forgotten."""
    behind.asked.clear()
    with httpx.Client(base_url=f"http://localhost:{proxy.port}", headers={"Accept-Encoding": "identity"}) as client:
        yield client.request


def raw(port: int, path: str = STREAM, host: str = "localhost", **headers: str) -> tuple[socket.socket, str]:
    """A websocket's first request exactly as written here, and the first line of its answer."""
    lines = {"Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", **headers}
    sent = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(sent.encode() + b"\r\n")
    return connection, connection.recv(4096).decode().partition("\r\n")[0]


def status(*given: object, **headers: str) -> int:
    connection, line = raw(*given, **headers)
    connection.close()
    return int(line.split()[1])


@pytest.mark.parametrize("path", ["/", "/patching?pair=tiny", "/static/js/a.js", "/_stcore/metrics", "/media/a.html"])
def test_every_answer_has_the_headers_that_shut_a_page_off(ask, path):
    answer = ask("GET", path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert ("sandbox" in answer.headers["content-security-policy"]) == path.startswith("/media/")
    assert "strict-transport-security" not in answer.headers and answer.headers["server"] == "nginx"


INTERNAL = ["metrics", "script-health-check", "agent/openapi.json", "agent/interact", "agent/mcp", "nothing", ""]


@pytest.mark.parametrize(
    "path",
    [
        *(f"/_stcore/{name}" for name in INTERNAL),
        *("/metrics", "/metrics/", "/readyz", "/_stcore//metrics", "//_stcore/metrics", "/x/../_stcore/metrics"),
        *("/%5fstcore/metrics", "/_stcore/%6detrics", "/x/..%2f_stcore/metrics", "/_stcore/health/../metrics"),
        *("/%6detrics", "/./readyz", "/static/../metrics", "/static/..%2freadyz"),
    ],
)
def test_what_is_for_who_runs_the_server_is_not_there(proxy, behind, path):
    behind.asked.clear()
    connection, line = raw(proxy.port, path, Upgrade="", Connection="close")
    connection.close()
    assert line.split()[1] in ("404", "400") and behind.asked == []


NEEDED = ["/", "/models", "/_stcore/health", "/_stcore/host-config", "/_stcore/bidi-components/a.js", "/media/a.csv"]
NEEDED += ["/oauth2callback?code=1", "/auth/login"]


@pytest.mark.parametrize("path", NEEDED)
def test_what_a_browser_needs_comes_through(ask, behind, path):
    assert ask("GET", path).content == BODY and behind.paths == [path]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example", "evil.example:80@localhost"])
def test_another_host_is_refused(proxy, behind, host):
    behind.asked.clear()
    assert status(proxy.port, host=host) in (421, 400) and status(proxy.port, "/", host=host) in (421, 400)
    assert behind.asked == []


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost", "http://localhost:1", "http://localhost:{}.evil.example"],
)
def test_another_origin_opens_no_session_and_asks_for_nothing(proxy, behind, origin):
    behind.asked.clear()
    origin = origin.format(proxy.port)
    assert status(proxy.port, Origin=origin) == 403 == status(proxy.port, "/", Origin=origin)
    assert behind.asked == []


def test_a_session_of_the_page_itself_is_opened_and_says_whose_it_is(proxy, behind):
    behind.asked.clear()
    given = {"Origin": f"http://localhost:{proxy.port}", "X-Forwarded-For": "1.2.3.4", "Accept-Encoding": "gzip"}
    assert status(proxy.port, **given) == 101
    _, path, headers = behind.asked[-1]
    assert path == STREAM and headers["Upgrade"] == "websocket" and headers["Host"] == f"localhost:{proxy.port}"
    # Not what a stranger claims.
    assert headers["X-Forwarded-For"] == "127.0.0.1" and "Accept-Encoding" not in headers


def test_files_are_fetched_from_the_app_once_and_compressed(ask, behind):
    answers = [ask("GET", f"/static/js/once.js?{n}") for n in range(3)]
    assert [answer.content for answer in answers] == [BODY] * 3 and behind.paths == ["/static/js/once.js?0"]
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)
    packed = ask("GET", "/static/js/once.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.content == BODY
    assert int(packed.headers.get("content-length") or packed.num_bytes_downloaded) < len(BODY) / 10
    # A page is asked for anew each time.
    behind.asked.clear()
    ask("GET", "/"), ask("GET", "/")
    assert behind.paths == ["/", "/"]


def test_bodies_are_bounded_and_only_an_upload_has_one_worth_the_name(ask, behind):
    assert ask("PUT", "/_stcore/upload_file/session/file", content=bytes(4_200_000)).status_code == 200
    assert ask("PUT", "/_stcore/upload_file/session/file", content=bytes(6_000_000)).status_code == 413
    assert ask("GET", "/", content=bytes(2000)).status_code == 413
    assert ask("GET", f"/?prompt={'a' * 50_000}").status_code in (400, 414)
    assert ask("GET", f"/?prompt={'a' * 10_000}").status_code == 200
    assert [method for method, _, _ in behind.asked] == ["PUT", "GET"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/_stcore/health", STREAM, "/static/js/a.js"])
def test_nothing_but_reading_is_passed_on(ask, behind, method, path):
    assert ask(method, path).status_code in (403, 405) and behind.asked == []


def test_sessions_of_one_address_are_bounded_and_one_that_ends_makes_room(behind, proxied):
    port = proxied(behind.port, SESSIONS="3").port
    with ExitStack() as opened:
        for _ in range(3):
            connection, line = raw(port)
            assert line.split()[1] == "101"
            opened.enter_context(connection)
        connection, line = raw(port)
        connection.close()
        assert line.split()[1] == "429"
        # Pages are still read.
        assert httpx.get(f"http://localhost:{port}/").status_code == 200


def test_connections_of_one_address_are_bounded(proxied):
    with upstream() as told:
        port = proxied(told.port, CONNECTIONS="2").port
        plain = {"Upgrade": "", "Connection": "close"}
        with ExitStack() as held:
            for _ in range(2):
                waiting = held.enter_context(socket.create_connection(("127.0.0.1", port), 60))
                waiting.sendall(f"GET /held HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            while len(told.asked) < 2:
                pass
            assert status(port, "/", **plain) == 429
            # A session has a bound of its own.
            assert status(port) == 101
            told.ended.set()


def test_sessions_are_bounded_whatever_their_addresses(behind, proxied):
    port = proxied(behind.port, ALL_SESSIONS="2").port
    with raw(port)[0], raw(port)[0]:
        assert status(port) == 429


def test_requests_beyond_the_rate_are_refused_and_told_when_to_come_back(behind, proxied):
    proxy = proxied(behind.port, REQUESTS="1", BURST="5")
    with httpx.Client(base_url=f"http://localhost:{proxy.port}") as client:
        answers = [client.get("/") for _ in range(30)]
        assert [answer.status_code for answer in answers[:6]] == [200] * 6
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and all(answer.headers["retry-after"] == "10" for answer in refused)
        # Files come from the proxy itself.
        assert {client.get("/static/js/many.js").status_code for _ in range(30)} == {200}


def test_while_the_app_is_not_there_a_sentence_says_so_and_files_still_come(proxied):
    with upstream() as told:
        proxy = proxied(told.port)
        client = httpx.Client(base_url=f"http://localhost:{proxy.port}")
        assert client.get("/static/js/kept.js").content == BODY
    answer = client.get("/")
    assert answer.status_code == 503 and "reload in a moment" in answer.text
    assert answer.headers["retry-after"] == "5" and answer.headers["x-frame-options"] == "DENY"
    assert client.get("/static/js/kept.js").content == BODY
    client.close()


def test_it_speaks_tls_where_there_is_a_certificate_and_cookies_then_stay_in_it(behind, proxied):
    proxy = proxied(behind.port, tls=True)
    port, context = proxy.port, ssl.create_default_context(cafile=proxy.certificate)
    answer = httpx.get(proxy.url, verify=context)
    assert answer.content == BODY and "max-age=31536000" in answer.headers["strict-transport-security"]
    assert "secure" in answer.headers["set-cookie"].lower()
    assert behind.asked[-1][2]["X-Forwarded-Proto"] == "https"
    # Its sessions too.
    with (
        socket.create_connection(("127.0.0.1", port), 60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        host = f"Host: localhost:{port}\r\nOrigin: https://localhost:{port}"
        lines = f"GET {STREAM} HTTP/1.1\r\n{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        connection.sendall(lines.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101")
