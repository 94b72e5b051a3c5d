"""Models: which pairs there are, and what this server holds and does now."""

import streamlit as st

from pages.models import parts
from pages.shared import stage

st.subheader("Which models can run here, and what is this server doing?")
parts.pairs()
if not stage.on():
    parts.live()
    parts.noise_floors()
    parts.buttons()
    parts.libraries()
