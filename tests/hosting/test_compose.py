"""compose.yaml, without a container engine: it fills in what the configuration asks for, and shuts the app in."""

from __future__ import annotations

import re

from tests.browser.server import ROOT
from tests.hosting.nginx import TEMPLATE, WIDE

COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SERVICES = {name: text for name, text in re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)}


def filled_in(service: str) -> set[str]:
    return set(re.findall(r"^      ([A-Z_]+): ", SERVICES[service], re.MULTILINE))


def test_nginx_is_told_all_that_its_configuration_asks_for():
    directives = "\n".join(line for line in TEMPLATE.read_text().splitlines() if not line.startswith("#"))
    asked = set(re.findall(r"\$\{(\w+)\}", directives))
    assert asked == filled_in("nginx") and set(WIDE) < asked
    assert f"./{TEMPLATE.relative_to(ROOT)}:/etc/nginx/templates/" in SERVICES["nginx"]
    assert all(f"`{name}`" in (ROOT / "docs/hosting.md").read_text() for name in {*WIDE, "PUBLIC_HOST", "BASE"})


def test_every_file_that_is_mounted_is_there():
    for name in ("compose.yaml", "compose.tls.yaml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for path in re.findall(r"- \./([\w./-]+):/", text):
            assert (ROOT / path).is_file(), path


def test_the_app_is_reached_through_nginx_alone_and_writes_to_its_volume_alone():
    app, nginx = SERVICES["app"], SERVICES["nginx"]
    assert "ports:" not in app and "network_mode" not in COMPOSE
    assert re.findall(r"^      - (\S+:/\S+)$", app, re.MULTILINE) == ["kept:/home/app/.cache"]
    for service in (app, nginx):
        assert "read_only: true" in service and "cap_drop: [ALL]" in service and "no-new-privileges:true" in service
    assert 'REPHRASE_HOSTED: "1"' in app and "--server.allowedHosts=" in app and "/readyz" in app
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = docker.rpartition("\nFROM ")[2]
    assert "\nUSER app\n" in last and "_stcore/health" in last and "VOLUME /home/app/.cache" in last
    assert docker.startswith("#") and "ARG BASE=python:" in docker and "FROM ${BASE}" in docker
