"""What stands behind the proxy where the app is not needed: it answers everything, and keeps what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = b"0123456789" * 2000


@dataclass
class Upstream:
    """asked: (method, path, headers) of every request that came through.

    A websocket stays open, and /held unanswered, until `ended`.
    """

    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@contextmanager
def upstream() -> Iterator[Upstream]:
    told = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            told.asked.append((self.command, self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/held":
                told.ended.wait(60)
            if self.headers.get("Upgrade") == "websocket":
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.end_headers()
                told.ended.wait(60)
                self.close_connection = True
                return
            self.send_response(200)
            kept = self.path.startswith("/static/")
            self.send_header("Content-Type", "text/javascript" if kept else "text/html")
            self.send_header("Cache-Control", "public, immutable, max-age=31536000" if kept else "no-cache")
            self.send_header("Set-Cookie" if not kept else "X-Kept", "_streamlit_xsrf=2|a|b|c; Path=/")
            self.send_header("Content-Length", str(len(BODY)))
            # Else the proxy would keep a connection that outlives this server.
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(BODY)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer

        def log_message(self, *given: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        told.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield told
        finally:
            told.ended.set()
            server.shutdown()
