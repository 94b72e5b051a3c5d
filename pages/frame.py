"""The frame, run for every viewer at every change: navigation, prompt bar, the line of state, and the page."""

from functools import partial
from pathlib import Path

import streamlit as st

from cache.courtesy import busy
from pages.compared.views import PAGES as COMPARED
from pages.post import steps
from pages.shared import (
    behind,
    choosing,
    comparing,
    exports,
    figures,
    first_visit,
    focus,
    history,
    look,
    opening,
    presets,
    prompt_bar,
    shortcuts,
    sidebar,
    sign_in,
    stage,
    state,
    uncut,
    visitors,
)
from pages.shared.asking import Asking, on_screen
from pages.shared.door import ICON
from pages.shared.headings import tab_title
from pages.shared.service import owner, service
from pages.shared.text import plain
from pages.shared.watching import watch

uncut.runs()
visitors.admit(owner(), service().settings)
sign_in.ask(service().settings)
# A run that is cut short must not have missed that the viewer went back.
with uncut.uncut():
    if state.read_address():
        choosing.read()
        presets.read()
choosing.move()
st.set_page_config(page_icon=ICON, layout="wide", initial_sidebar_state=240)

look.style()
folder = Path(__file__).parent
pages = [
    st.Page(folder / "explore/page.py", title="Explore", icon=":material/search:", url_path="explore", default=True),
    st.Page(folder / "attribution/page.py", title="Attribution", icon=":material/bar_chart:", url_path="attribution"),
    st.Page(folder / "patching/page.py", title="Patching", icon=":material/swap_horiz:", url_path="patching"),
    st.Page(folder / "origin/page.py", title="Origin", icon=":material/history_edu:", url_path="origin"),
    st.Page(folder / "attention/page.py", title="Attention", icon=":material/visibility:", url_path="attention"),
    st.Page(folder / "head/page.py", title="Head", icon=":material/center_focus_strong:", url_path="head"),
    st.Page(folder / "prompts/page.py", title="Prompts", icon=":material/dataset:", url_path="prompts"),
    st.Page(folder / "post/page.py", title="Post", icon=":material/article:", url_path="post"),
    st.Page(folder / "models/page.py", title="Models", icon=":material/memory:", url_path="models"),
]
with busy(drawing=True):
    # Streamlit's own list of pages would drop the address's parameters, and Back would find an entry without them.
    page = st.navigation(pages, position="hidden")
    stage.turn(pages, page)
    opening.turn(pages, page)
    if stage.on():
        sidebar.on_stage(pages)
    else:
        sidebar.sidebar(pages)
    for complaint in st.session_state.complaints:
        st.warning(plain(complaint))
    slots = prompt_bar.bar()
    stepped = page.url_path == "post"
    spoken = [*stage.SHORTCUTS, *stage.turning(steps.turn if stepped else None), *(steps.SHORTCUTS if stepped else ())]
    spoken += [*comparing.SHORTCUTS, *history.SHORTCUTS]
    keys = [*spoken, *presets.shortcuts(), *prompt_bar.SHORTCUTS]
    scripts = {"shortcuts": shortcuts.told(keys), "focus": focus.told(), "chart_fit": figures.dark()}
    scripts |= dict.fromkeys(["charts", "chart_keys", "links"])
    # A page is drawn anew when its viewer changes the theme.
    behind.run(
        scripts if stage.on() else {"first_visit": first_visit.STEPS, **scripts},
        pressed=partial(shortcuts.press, keys),
        theme=lambda dark: None,
    )
    # Of a page that compares, what it shows in place of itself.
    beside = COMPARED.get(page.url_path or "explore") if state.compared() is not None else None
    comparing.bar("" if beside or page.title == "Models" else page.title)
body, status = st.container(key="page"), st.container(key="status")
st.session_state.lines, st.session_state.downloads = [], {}
st.session_state.asking = asking = Asking()
if (a := state.compared()) is not None:
    asking.beside(a)
prompt_bar.begin(slots, asking)
with body:
    if beside is None:
        page.run()
    else:
        beside(comparing.both(asking))
choosing.begin(asking)
prompt_bar.finish(slots, asking)
with body:
    exports.offer(asking.ask("overview"))
# Once the page is drawn: before, it would be the title of the prompt before.
shown = [asking.compared, asking] if beside and asking.compared else [asking]
st.set_page_config(page_title=tab_title(page.title, *(each.ask("overview") for each in shown)))
history.note(asking)
with slots["history"]:
    history.menu()
asking.close()
state.write_address(refused=bool(asking.errors))
with status:
    stage.measure()
    watch(asking, "" if stage.on() else sidebar.state_line(on_screen()))
