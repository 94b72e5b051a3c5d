"""Behind one button: the pair of models and what else decides about the numbers, but is rarely changed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from core.experiment import DTYPES, TEMPLATES, Experiment, InputError
from core.wording import located
from pages.shared import free_prompt, pair, state, widgets
from pages.shared.asking import on_screen
from pages.shared.service import service
from pages.shared.text import plain
from pages.shared.widgets import show

_TEMPLATES = {"raw": "none: raw text", "chat": "INSTRUCT's own"}
_AUTO = "auto: the pair's own; on a CPU float32 in place of bfloat16 and float16, which are slower there, where it fits"


def menu(experiment: Experiment) -> None:
    look: dict[str, Any] = {"icon": ":material/tune:", "type": "tertiary", "width": "content"}
    with st.popover("Settings", key=free_prompt.MENU, on_change="rerun", **look) as settings:
        if not settings.open:
            # Nine widgets that hardly anybody looks at would come with every edit of everybody.
            return
        pair.choice(experiment)
        free_prompt.switch()
        _template(experiment)
        widgets.which_colon("Role “colon”", "input_colon")
        if experiment.picked is not None:
            st.caption(plain(f"Followed: {_followed(experiment.picked)}"))
            st.button("Follow no token", on_click=lambda: state.edit(picked=None))
        _dtype(experiment)


def _followed(position: int) -> str:
    """The token by itself and its neighbours, once its prompt is there."""
    overview = on_screen()
    if overview and overview.prompt.roles["picked"] == position:
        return located(overview.prompt.tokens, position)
    return f"token {position + 1}"


def _template(experiment: Experiment) -> None:
    why = _no_template(experiment)
    # A chat that a link asks for in vain must be left again.
    locked = bool(why) and experiment.template == "raw"
    show(
        st.selectbox, "Chat template", "input_template", experiment.template, lambda name: state.edit(template=name),
        options=list(TEMPLATES), disabled=locked, format_func=lambda name: _TEMPLATES.get(name, name),
    )  # fmt: skip
    if why:
        st.caption(why)


def _no_template(experiment: Experiment) -> str:
    """Why no chat template can be chosen, as far as that is known; else ""."""
    if experiment.is_free:
        return "A free prompt is read as it stands: write a chat's special tokens into it."
    with suppress(InputError):
        # In a new tab, what another one has asked already.
        overview = on_screen() or service().known("overview", experiment)
        if overview and not overview.has_template and overview.pair == service().spec(experiment).id:
            return "This pair's INSTRUCT has no chat template."
    return ""


def _dtype(experiment: Experiment) -> None:
    dtypes = ["", *DTYPES]
    if experiment.dtype not in dtypes:
        dtypes.append(experiment.dtype)
    show(
        st.selectbox, "dtype", "input_dtype", experiment.dtype, lambda name: state.edit(dtype=name),
        options=dtypes, format_func=lambda name: name or "auto", help=_AUTO,
    )  # fmt: skip
