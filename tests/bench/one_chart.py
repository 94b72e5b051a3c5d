"""`streamlit run tests/bench/one_chart.py`: what Streamlit and Plotly take by themselves."""

import plotly.graph_objects as go
import streamlit as st

st.set_page_config(layout="wide")
st.plotly_chart(go.Figure(go.Bar(x=[1, 2, 3], y=[1, 2, 3])))
with st.container(key="status"):
    st.write("recorded before")
