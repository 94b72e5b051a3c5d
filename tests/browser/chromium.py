"""The Chromium that the browser tests drive: the system's own, else one that is installed here.

Order: the path in CHROMIUM, a browser on the PATH, Playwright's own; `python -m tests.browser.chromium` sees to it that
one of them is there, by apt-get where that is allowed, else by Playwright's download.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# No sandbox: containers rarely allow one. The rest keeps Chromium from calling home.
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
REMEDY = "install one (on Debian: apt-get install chromium), or set CHROMIUM to the path of a Chromium or Chrome"


def find() -> str | None:
    """Path of a Chromium that starts, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if _starts(named) else None
    on_path = (path for path in map(shutil.which, NAMES) if path and _starts(path))
    return next(on_path, None) or _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) and _starts(path) else None


def _starts(path: str) -> bool:
    """Ubuntu's chromium package is a script that only points to a snap, so being there is not enough."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install() -> None:
    """Try the system's package manager, then Playwright's download; neither is an error here."""
    apt_install("chromium", "No Chromium found")
    if find():
        return
    print("Downloading Playwright's own Chromium", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"])


def apt_install(package: str, why: str) -> None:
    """Install one of Debian's packages, where the machine has such and we may."""
    if shutil.which("apt-get") and (sudo := _root()) is not None:
        print(f"{why}; installing it with apt-get", flush=True)
        subprocess.run([*sudo, "apt-get", "update", "-qq"])
        subprocess.run([*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", package])


def _root() -> list[str] | None:
    """What to put before a command to run it as root without a question, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def main() -> None:
    if find():
        return
    if named := os.environ.get("CHROMIUM"):
        sys.exit(f"CHROMIUM is {named!r}, which does not start; unset it or name a Chromium that does")
    install()
    if not find():
        sys.exit(f"The browser tests need a Chromium and none could be installed; {REMEDY}")


if __name__ == "__main__":
    main()
