"""How every page looks, beside what its parts say of themselves.

Figures begin near the top of the screen; Streamlit leaves 6rem for a header that holds a menu alone. The line under a
figure stays one line, its text wrapped, where there is room for both text and buttons; what stands side by side stands
in a column of its own, or below. A finding, and a text that is being written, have room for
two lines, a head's sentence for three, so that nothing moves when they are longer than the one before. The line of
state stays in sight at the bottom, wherever the page is scrolled to.
"""

from __future__ import annotations

import streamlit as st

from pages.shared import behind, charts, prompt_bar, stage

_CSS = """
.stMainBlockContainer { padding: 2.4rem 2rem; }
.stAppHeader { height: 2.2rem; min-height: 2.2rem; }
[class*=st-key-below_] { flex-wrap: wrap; justify-content: flex-end; }
[class*=st-key-below_] > :first-child { flex: 1 1 14rem; }
@media (min-width: 641px) {
  .stMain [data-testid=stColumn]:has([data-testid=stPlotlyChart], [data-testid=stDataFrame]) {
    min-width: min(100%, 24rem); }
  .stMain [data-testid=stColumn]:has(.st-key-chosen_head) { min-width: 15rem; }
}
.st-key-finding p { font-size: 1.15rem; line-height: 1.4; min-height: 2.8em; margin: 0; }
.st-key-sentence p { line-height: 1.4; min-height: 4.2em; margin: 0; }
.st-key-goes_on p { min-height: 4.8em; margin: 0; }
/* A line that is written anew is nothing for a moment: its place is as high as the line, less the margin below it. */
.st-key-finding { min-height: 2.22rem; }
.st-key-sentence { min-height: 3.2rem; }
.st-key-goes_on { min-height: 3.8rem; }
.st-key-goes_on button { min-height: 0; }
.stMain .stHeading h1 { font-size: 1.5rem; padding: 0.1rem 0 0.4rem; }
.stMain .stHeading h2 { font-size: 1rem; line-height: 1.6; padding: 0 0 0.2rem; }
[class*=st-key-figures_] { transition: opacity 0.15s; }
/* Streamlit's captions, chosen items and texts on figures are too faint to be read on one page or the other. */
[data-testid=stCaptionContainer] { opacity: 0.78; }
.stMultiSelect [data-tag] { background: transparent; box-shadow: inset 0 0 0 1px currentColor; color: inherit; }
.stMultiSelect [data-tag] * { color: inherit; }
/* Streamlit's links show nothing of it. */
.stApp a:focus-visible, .js-plotly-plot:focus-visible { outline: 2px solid currentColor; outline-offset: -2px; }
.js-plotly-plot :is([class$=tick], .infolayer, .barlayer) text { fill: currentColor !important; }
:has(> .st-key-status) { position: sticky; bottom: 0; z-index: 5; }
/* The page's own colour, handed down: in a dark theme another one. */
.stApp :has(.st-key-status), .st-key-status { background-color: inherit; }
.st-key-status { padding: 0.15rem 0; font-size: 0.9rem; }
@media (max-height: 600px) {
  .st-key-status p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
}
@media (max-width: 640px) {
  .stMainBlockContainer { padding-inline: 1rem; }
  [class*=st-key-below_] > :first-child { flex-basis: 100%; }
  [data-testid=stButtonGroup], [data-testid=stButtonGroup] * { flex-wrap: wrap; }
  /* No room for both a figure's title and its buttons; they also come up at a touch. */
  .modebar-container { display: none; }
  .js-plotly-plot .gtitle { font-size: 13px !important; }
  .js-plotly-plot .annotation-text { font-size: 10px !important; }
  .js-plotly-plot .bartext { font-size: 12px !important; }
  .stMain .stHeading h1 { font-size: 1.4rem; }
}
"""


def style() -> None:
    """For the frame: one sheet, of what several modules say of a page."""
    sheets = (_CSS, behind.PLACE, charts.CSS, prompt_bar.style(), stage.style())
    st.html(f"<style>{''.join(sheets)}</style>")
