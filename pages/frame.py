"""The frame, run for every viewer at every change: navigation, prompt bar, the line of state, and the page."""

from pathlib import Path

import streamlit as st

from cache.courtesy import busy
from pages.shared import (
    chart_fit,
    chart_keys,
    charts,
    choosing,
    downloads,
    presets,
    prompt_bar,
    shortcuts,
    sidebar,
    stage,
    state,
)
from pages.shared.asking import Asking, on_screen
from pages.shared.headings import tab_title
from pages.shared.once import remembering
from pages.shared.text import plain
from pages.shared.watching import watch

# Before anything is drawn: a run that is cut short must not have missed that the viewer went back.
if state.read_address():
    choosing.read()
    presets.read()
choosing.move()
st.set_page_config(page_icon="🔁", layout="wide", initial_sidebar_state=240)

# Figures begin near the top of the screen; Streamlit leaves 6rem for a header that holds a menu alone.
# The line under a figure stays one line: its text wraps, its buttons do not. A finding, and a text that is being
# written, have room for two lines, so that nothing moves when they are longer than the one before. The line of state
# stays in sight at the bottom, wherever the page is scrolled to.
st.html("""<style>
.stMainBlockContainer { padding: 2.4rem 2rem; }
.stAppHeader { height: 2.2rem; min-height: 2.2rem; }
[class*=st-key-below_] { flex-wrap: nowrap; }
.st-key-finding p { font-size: 1.15rem; line-height: 1.4; min-height: 2.8em; margin: 0; }
.st-key-goes_on p { min-height: 3.2em; margin: 0; }
.st-key-goes_on button { min-height: 0; }
.stMain .stHeading h1 { font-size: 1.75rem; padding: 0.5rem 0 1rem; }
.stMain .stHeading h2 { font-size: 1rem; line-height: 1.6; padding: 0 0 0.2rem; }
.st-key-chart_keys, .st-key-chart_fit { position: absolute; }
/* Streamlit's captions, chosen items and texts on figures are too faint to be read, on a light page or on a dark one. */
[data-testid=stCaptionContainer] { opacity: 0.78; }
.stMultiSelect [data-tag] { background: transparent; box-shadow: inset 0 0 0 1px currentColor; color: inherit; }
.stMultiSelect [data-tag] * { color: inherit; }
.js-plotly-plot:focus-visible { outline: 2px solid currentColor; outline-offset: -2px; }
.js-plotly-plot :is([class$=tick], .infolayer, .barlayer) text { fill: currentColor !important; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-inline: 1rem; }
  [class*=st-key-below_] { flex-wrap: wrap; }
  [class*=st-key-below_] > :first-child { flex-basis: 100%; }
  [data-testid=stButtonGroup], [data-testid=stButtonGroup] * { flex-wrap: wrap; }
  /* No room for both a figure's title and its buttons; they also come up at a touch. */
  .modebar-container { display: none; }
  .js-plotly-plot .gtitle { font-size: 13px !important; }
  .js-plotly-plot .annotation-text { font-size: 10px !important; }
  .js-plotly-plot .bartext { font-size: 12px !important; }
  .stMain .stHeading h1 { font-size: 1.4rem; }
}
:has(> .st-key-status) { position: sticky; bottom: 0; z-index: 5; }
/* The page's own colour, handed down: in a dark theme another one. */
.stApp :has(.st-key-status), .st-key-status { background-color: inherit; }
.st-key-status { padding: 0.15rem 0; font-size: 0.9rem; }
</style>""")
stage.style()
folder = Path(__file__).parent
pages = [
    st.Page(folder / "explore/page.py", title="Explore", icon=":material/search:", url_path="explore", default=True),
    st.Page(folder / "attribution/page.py", title="Attribution", icon=":material/bar_chart:", url_path="attribution"),
    st.Page(folder / "patching/page.py", title="Patching", icon=":material/swap_horiz:", url_path="patching"),
    st.Page(folder / "origin/page.py", title="Origin", icon=":material/history_edu:", url_path="origin"),
    st.Page(folder / "attention/page.py", title="Attention", icon=":material/visibility:", url_path="attention"),
    st.Page(folder / "head/page.py", title="Head", icon=":material/center_focus_strong:", url_path="head"),
    st.Page(folder / "models/page.py", title="Models", icon=":material/memory:", url_path="models"),
]
with busy():
    # Streamlit's own list of pages would drop the address's parameters, and Back would find an entry without them.
    page = st.navigation(pages, position="hidden")
    if stage.on():
        sidebar.on_stage(pages)
    else:
        sidebar.sidebar(pages)
    for complaint in st.session_state.complaints:
        st.warning(plain(complaint))
    slots = prompt_bar.bar()
    shortcuts.listen([*stage.SHORTCUTS, *presets.shortcuts(), *prompt_bar.SHORTCUTS])
    charts.listen()
body, status = st.container(key="page"), st.container(key="status")
st.session_state.lines, st.session_state.downloads = [], {}
st.session_state.asking = asking = Asking()
with remembering(), body:
    page.run()
choosing.begin(asking)
prompt_bar.finish(slots, asking)
with body:
    downloads.all_tables(asking.ask("overview"))
# Once the page is drawn: before, it would be the title of the prompt before.
st.set_page_config(page_title=tab_title(page.title, state.experiment(), asking.ask("overview")))
asking.close()
state.write_address()
with status:
    chart_keys.listen()
    chart_fit.fit()
    watch(asking, "" if stage.on() else sidebar.state_line(on_screen()))
