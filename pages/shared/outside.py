"""Streamlit asks nobody who this machine is.

It compares the origin of a websocket that comes from elsewhere with this machine's address in the internet, for which
it asks a server there, in the thread that serves everybody and at every attempt. An origin that is neither the host
that was asked for, nor named in `browser.serverAddress` or `server.corsAllowedOrigins`, is foreign without that.
"""

from __future__ import annotations

from streamlit import net_util


def unasked() -> None:
    """From now on: no address of this machine is known but those that it is told."""
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None
