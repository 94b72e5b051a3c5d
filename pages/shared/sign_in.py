"""Who may look where visitors sign in, and who may change what is everybody's.

Streamlit's own `st.login` speaks with the provider that `.streamlit/secrets.toml` names. It comes back to the bare
root, so the browser remembers for this tab which link had been opened.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.secrets import secrets_singleton

from core.settings import Settings
from pages.shared.door import door
from pages.shared.text import plain

_JS = """
const KEY = 'rephrase-opened';
export default function ({ data }) {
  const here = location.pathname + location.search;
  if (!data.signed_in) { sessionStorage.setItem(KEY, here); return; }
  const opened = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  if (opened && opened !== here) location.replace(new URL(opened, location.origin));
}
"""
_address = st.components.v2.component("rephrase_opened", js=_JS)


def check(settings: Settings) -> None:
    """At the server's start: raises ValueError where visitors are to sign in and no provider is named."""
    if settings.sign_in and not (secrets_singleton.load_if_toml_exists() and "auth" in st.secrets):
        raise ValueError("REPHRASE_SIGN_IN needs [auth] in .streamlit/secrets.toml; docs/public.md shows one")


def ask(settings: Settings) -> None:
    """For the frame: a page ends here for who has not signed in, or may not look."""
    if not settings.sign_in:
        return
    if not st.user.is_logged_in:
        _address(data={"signed_in": False}, key="opened")
        door()
        st.write("This server asks its visitors to sign in. The link that you have opened comes next.")
        st.button("Sign in", on_click=st.login, type="primary", icon=":material/login:")
        st.stop()
    if settings.allowed and not is_listed(_email(), settings.allowed):
        door()
        who = f"“{_email()}”" if _email() else "an account without a confirmed e-mail address"
        st.error(plain(f"You are signed in as {who}, which is not among those who may look. Ask who runs this server."))
        st.button("Sign out", on_click=st.logout, icon=":material/logout:")
        st.stop()
    st.html("<style>.st-key-opened { position: absolute; width: 0; height: 0; }</style>")
    _address(data={"signed_in": True}, key="opened")


def button(settings: Settings) -> None:
    """For the sidebar."""
    if settings.sign_in:
        st.button("Sign out", on_click=st.logout, type="tertiary", help=plain(_email()) or None, key="sign_out")


def may_operate(settings: Settings, password: str) -> bool:
    """Whether this viewer may press what changes something for all: an operator by e-mail address or by password;
    where neither is set everybody on a machine of one's own, and nobody on a public demo."""
    if settings.sign_in and is_listed(_email(), settings.operators):
        return True
    if settings.operator:
        return hmac.compare_digest(password.encode(), settings.operator.encode())
    return not settings.hosted and not settings.operators


def is_listed(email: str, entries: Sequence[str]) -> bool:
    """entries: whole addresses, or domains as “@example.org”."""
    address = email.casefold()
    return bool(address) and any(
        address == entry or entry.startswith("@") and address.endswith(entry) for entry in map(str.casefold, entries)
    )


def _email() -> str:
    """The address that the provider vouches for, or ""."""
    told = st.user.to_dict()
    return "" if told.get("email_verified") is False else str(told.get("email") or "")
