"""The frame, run for every viewer at every change: navigation, sidebar, the line of progress, and the page."""

from pathlib import Path

import streamlit as st

from cache.courtesy import busy
from pages.shared import pair, sidebar, state
from pages.shared.jobs import Asking, service, show_status
from pages.shared.text import plain

st.set_page_config(page_title="REPHRASE Circuit Explorer", page_icon="🔁", layout="wide")

# Figures begin near the top of the screen; Streamlit leaves 6rem for a header that is empty here.
# The line under a figure stays one line: its text wraps, its buttons do not.
st.html("<style>.stMainBlockContainer { padding-top: 4rem; } [class*=st-key-below_] { flex-wrap: nowrap; }</style>")
folder = Path(__file__).parent
with busy():
    page = st.navigation(
        [
            st.Page(
                folder / "explore/page.py", title="Explore", icon=":material/search:", url_path="explore", default=True
            ),
            st.Page(
                folder / "attribution/page.py", title="Attribution", icon=":material/bar_chart:", url_path="attribution"
            ),
            st.Page(folder / "patching/page.py", title="Patching", icon=":material/swap_horiz:", url_path="patching"),
            st.Page(
                folder / "attention/page.py", title="Attention", icon=":material/visibility:", url_path="attention"
            ),
            st.Page(folder / "head/page.py", title="Head", icon=":material/center_focus_strong:", url_path="head"),
        ]
    )
    state.read_address(page.url_path, service().start)
    slots = sidebar.sidebar()
    for complaint in st.session_state.complaints:
        st.warning(plain(complaint))
status = st.container(key="status")
st.session_state.asking = asking = Asking()
page.run()
overview = st.session_state.get("last", {}).get("overview")
pair.precision(slots, asking)
sidebar.finish(slots, asking.errors, overview.summary.suggestions if overview else ())
with status:
    show_status(asking, sidebar.on_screen(overview))
state.write_address(service().start)
