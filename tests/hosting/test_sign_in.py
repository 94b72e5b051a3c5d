"""Visitors who sign in: who may look, who has the operator's buttons, and that the link they opened is not lost.

They come as the public does, by TLS through the proxy, or where no nginx can be had straight to the app.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Page, expect

from tests.browser.server import Server, free_port, server
from tests.hosting.nginx import find
from tests.load.crowd import Told

SENTENCE = "The quick bear runs past the hill."
BUTTONS = ("Release models", "Forget answers in memory", "Empty the store")


def user(name: str, verified: bool = True) -> User:
    return User(sub=name, claims={"email": f"{name}@example.org", "email_verified": verified})


@dataclass(frozen=True)
class Private:
    app: Server
    url: str


@pytest.fixture(scope="module")
def private(tmp_path_factory, request):
    """A public demo for those at example.org but eve, ann its operator; and where they find it."""
    folder, port = tmp_path_factory.mktemp("private"), free_port()
    public = request.getfixturevalue("proxied")(port, tls=True).url if find() else f"http://localhost:{port}/"
    with run_server_in_thread(user_claims=[user("ann"), user("bob"), user("eve", verified=False)]) as provider:
        secrets = folder / "secrets.toml"
        secrets.write_text(f"""[auth]
redirect_uri = "{public}oauth2callback"
cookie_secret = "a secret of this test alone, long enough"
client_id = "explorer"
client_secret = "another"
server_metadata_url = "http://localhost:{provider.server_port}/.well-known/openid-configuration"
""")
        settings = {"HOSTED": "1", "SIGN_IN": "1", "ALLOWED": "@example.org", "OPERATORS": "ann@example.org"}
        environment = {f"REPHRASE_{name}": value for name, value in settings.items()}
        environment["STREAMLIT_SERVER_ALLOWED_HOSTS"] = "localhost"
        log = folder / "log"
        with server(log, port=port, STREAMLIT_SECRETS_FILES=str(secrets), **environment) as running:
            yield Private(running, public)
        assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def tab(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, ignore_https_errors=True)
    # The provider's own page asks a distant host for its looks.
    context.route("**/*", lambda route: route.continue_() if "//localhost" in route.request.url else route.abort())
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def sign_in(page: Page, private: Private, name: str, path: str = "") -> None:
    page.goto(f"{private.url}{path}")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_nobody_looks_or_computes_without_signing_in(tab, private):
    before = Told.by(private.app).of("rephrase_questions_total")
    tab.goto(f"{private.url}?sentence={SENTENCE}")
    expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
    expect(tab.locator(".st-key-prompt_bar")).to_have_count(0)
    assert Told.by(private.app).of("rephrase_questions_total") == before


def test_who_signs_in_sees_the_link_that_was_opened_and_an_operator_its_buttons(tab, private):
    sign_in(tab, private, "ann", f"models?pair=tiny&sentence={SENTENCE}")
    expect(tab.get_by_label("Sentence", exact=True).first).to_have_value(SENTENCE)
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Which models can run here")
    for name in BUTTONS:
        expect(tab.get_by_role("button", name=name)).to_be_visible()
    tab.get_by_role("button", name="Sign out").click()
    tab.wait_for_url("**/end_session**")
    tab.goto(private.url)
    expect(tab.get_by_role("button", name="Sign in")).to_be_visible()


def test_who_is_no_operator_has_no_buttons(tab, private):
    sign_in(tab, private, "bob", "models")
    expect(tab.get_by_text("Noise floors of finished sweeps")).to_be_visible()
    expect(tab.locator("[data-testid=stExpander]")).to_be_visible()
    for name in BUTTONS:
        expect(tab.get_by_role("button", name=name)).to_have_count(0)


def test_an_address_that_the_provider_does_not_vouch_for_may_not_look(tab, private):
    sign_in(tab, private, "eve")
    expect(tab.get_by_text("is not among those who may look")).to_be_visible()
    expect(tab.locator(".st-key-prompt_bar")).to_have_count(0)
    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
