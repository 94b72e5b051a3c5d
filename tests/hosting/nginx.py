"""Debian's nginx with the project's own configuration, in front of whatever listens at a port.

`python -m tests.hosting.nginx` sees to it that nginx is there, by apt-get where that is allowed. Where it cannot be
had, the tests that need it are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.chromium import apt_install
from tests.browser.server import ROOT

TEMPLATE, TLS = ROOT / "hosting/site.conf.template", ROOT / "hosting/tls.conf"
REMEDY = "install it (on Debian: apt-get install nginx-light) for these tests, which are skipped without it"
_MAIN = """daemon off;
pid nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 1024; }}
http {{
    types {{ text/html html; }}
    access_log off;
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    scgi_temp_path temporary/scgi;
    uwsgi_temp_path temporary/uwsgi;
    include site.conf;
}}
"""
# No test comes near them, but those of just that.
WIDE = {"REQUESTS": "1000", "BURST": "10000", "CONNECTIONS": "1000", "SESSIONS": "1000", "ALL_SESSIONS": "1000"}


def find() -> str | None:
    """Path of an nginx, or None."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def filled(template: str, values: dict[str, str]) -> str:
    """The template as nginx' own image fills it in: names that are given, and no other `$`."""
    for name, value in values.items():
        template = template.replace(f"${{{name}}}", value)
    return template


def certify(folder: Path) -> None:
    """Make a certificate of localhost's own for it, and its key, under the names that the TLS lines give."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost"]
    made += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    done = subprocess.run(made, capture_output=True)
    assert done.returncode == 0, done.stderr


@dataclass
class Proxy:
    """nginx at `port`, in a folder of its own; `app`: the port that it passes on to."""

    folder: Path
    port: int
    app: int
    tls: bool = False
    values: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://localhost:{self.port}/"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificates/fullchain.pem"

    def start(self) -> None:
        values = {
            "LISTEN": f"127.0.0.1:{self.port}{' ssl' if self.tls else ''}",
            "TLS": f"{self.folder}/tls/*.conf",
            "PUBLIC_HOST": "localhost",
            "APP": f"127.0.0.1:{self.app}",
            "CACHE": f"{self.folder}/files",
        }
        for name in ("temporary", "tls", "certificates"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if self.tls:
            certify(self.certificate.parent)
            lines = TLS.read_text().replace("certificates/", f"{self.certificate.parent}/")
            (self.folder / "tls/tls.conf").write_text(lines)
        (self.folder / "site.conf").write_text(filled(TEMPLATE.read_text(), values | WIDE | self.values))
        # As anybody else it could not enter the folders that pytest makes for root alone.
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(_MAIN.format(user=user))
        path = find()
        assert path, REMEDY
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen([path, "-p", self.folder, "-c", "nginx.conf"], stderr=log)
        deadline = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"nginx did not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


def main() -> None:
    if find():
        return
    apt_install("nginx-light", "No nginx found")
    if not find():
        print(f"No nginx could be installed; {REMEDY}")


if __name__ == "__main__":
    main()
