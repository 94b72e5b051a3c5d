"""The explorer: `streamlit run app.py`.

The frame is a script of its own in another folder: beside a folder `pages`, Streamlit would run a fresh server's first
request in its legacy mode and answer a deep link with "Page not found".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from pages.shared.jobs import service


@asynccontextmanager
async def warm(app: st.App) -> AsyncIterator[None]:
    """Let the worker import torch and load the default pair while the first browser is on its way."""
    service().warm()
    yield


app = st.App("pages/frame.py", lifespan=warm)
