"""A fresh server of the app, as `streamlit run app.py` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
START = 60  # seconds a server may take to become healthy


@dataclass(frozen=True)
class Server:
    """url: with the final slash; log: everything that it prints; pid: of its one process."""

    url: str
    log: Path
    pid: int


@contextmanager
def server(
    log: Path, module: str = "streamlit", app: str = "app.py", port: int = 0, **environment: str
) -> Iterator[Server]:
    """Start the app, wait until it is healthy, stop it at the end. port: 0 takes a free one; environment: settings to
    add."""
    port = port or free_port()
    command = [sys.executable, "-m", module, "run", app, "--server.headless=true", f"--server.port={port}"]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        try:
            _wait(process, port, log)
            yield Server(f"http://localhost:{port}/", log, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            # An unknown path answers 200 too: the body decides.
            if urlopen(f"http://localhost:{port}/_stcore/health", timeout=2).read() == b"ok":
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the app did not start; its log:\n{log.read_text()}")
