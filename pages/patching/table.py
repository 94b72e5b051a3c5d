"""The table of the components that move the recipient furthest, with what else is known about them."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from cache.questions.overview import Overview
from core import definitions
from core.attention_results import Attention
from core.charts import theme
from core.models.dtype import HALVES
from core.patching.plan import unit
from core.patching.results import Sets, Sweep
from core.results import MODELS
from core.wording import brief, signed, unsigned, word
from pages.patching.plan import MEASURED, Plan
from pages.patching.score_map import grey
from pages.patching.sets import as_set
from pages.shared import state
from pages.shared.asking import Answer, follow
from pages.shared.figures import below, dark, figures
from pages.shared.headings import part
from pages.shared.heads import Place
from pages.shared.tables import COUNT, FINE, PLAIN, Form, choosable, worded
from pages.shared.widgets import show

TOP = 8


def top_heads(overview: Answer, plan: Plan, chosen: Place | None) -> None:
    """Of what has run so far; the chosen head is added where it is not among them."""
    if unit(plan.site) == "layer":
        return
    swept, attention = follow(overview, "sweep", **plan.options), follow(overview, "attention")
    with st.container(horizontal=True, vertical_alignment="center", key="top_heading"):
        part("The components that move the recipient furthest")
        wanted = recomputable(plan.overview) and _toggle()
        button = st.container(width="content")
    sweep = swept.value or plan.nothing_yet(plan.site)
    cells = _cells(plan, sweep, chosen)
    table = _table(plan, sweep, cells, attention.value)
    asked = [swept, attention]
    read = "Furthest first, towards the donor or away from it. A selected row chooses its head; a chosen one is added."
    read += f" {grey(sweep)}"
    if wanted:
        fine = None
        if swept.complete:
            # The same cells in float32, the models in that dtype beside those on screen.
            asked.append(follow(overview, "recomputed", members=tuple(cells), **plan.options))
            fine = asked[-1].result
        table = _beside(table, fine)
        read += _in_float32(plan, fine)
    with figures(*asked, key="top"):
        selected = _show(plan, table, cells, [bool(sweep.within_noise[cell]) for cell in cells])
        below("top_patching_heads", read, definitions.PATCHING, flat(table), plan.options)
    if unit(plan.site) in ("head", "group"):
        with button:
            as_set(selected, "table_as_set", "those of the selected rows", plan.site)


def recomputable(overview: Overview) -> bool:
    """Whether float32 would say more; packed weights stay what they are, and 8-bit ones compute in halves anyway."""
    return overview.dtype in HALVES and not overview.quantization


def _toggle() -> bool:
    """Whether the table's cells are run once more in float32."""
    value = bool(state.view("recomputed"))
    change = lambda wanted: state.set_view("recomputed", "1" if wanted else "")  # noqa: E731
    show(st.toggle, "Recompute in float32", "input_recomputed", value, change)
    return value


def _beside(table: pd.DataFrame, fine: Sets | None) -> pd.DataFrame:
    """The table with effect and score in float32 behind those of the dtype that runs."""
    place = table.columns.get_loc(("", "noise floor")) + 1
    for name in ("effect", "score") if ("", "score") in table else ("effect",):
        values = [float("nan")] * len(table) if fine is None else getattr(fine, name).tolist()
        table.insert(place, ("float32", name), values)
        place += 1
    return table


def _in_float32(plan: Plan, fine: Sets | None) -> str:
    if fine is None:
        return ""
    gaps = [signed(gap.size) for gap in (fine.gap, plan.gap)]
    return f" In float32 the gap is {gaps[0]}, in {plan.overview.dtype} {gaps[1]}."


def _cells(plan: Plan, sweep: Sweep, chosen: Place | None) -> list[Place]:
    cells = sweep.furthest(TOP)
    if chosen and unit(plan.site) == "group":
        chosen = (chosen[0], chosen[1] // plan.group_size)
    return cells if chosen is None or chosen in cells else [*cells, chosen]


def _table(plan: Plan, sweep: Sweep, cells: list[Place], attention: Attention | None) -> pd.DataFrame:
    """Columns in two rows: what is measured, and in which model."""
    columns: dict[tuple[str, str], list] = {("", "name"): [sweep.name(*cell) for cell in cells]}
    if unit(plan.site) == "group" and plan.group_size > 1:
        size = plan.group_size
        columns["", "query heads"] = [f"{g * size} to {(g + 1) * size - 1}" for _, g in cells]
    columns["", "effect"] = [float(sweep.effect[cell]) for cell in cells]
    if not plan.gap.reason:
        columns["", "score"] = [float(sweep.score[cell]) for cell in cells]
    columns["", "noise floor"] = [float(sweep.noise_floor[cell]) for cell in cells]
    if plan.measured:
        shown = plan.mapped(sweep)
        columns["", MEASURED[plan.show][0]] = [float(shown[cell]) for cell in cells]
    if unit(plan.site) == "head":
        columns |= _attention_columns(plan, cells, attention)
    return pd.DataFrame(columns)


def _attention_columns(plan: Plan, cells: list[Place], attention: Attention | None) -> dict:
    """A(src→END) for the original and the colon, and the direct logit attribution, in both models."""
    prompt, columns = plan.overview.prompt, {}
    end = word(prompt.tokens[prompt.end])
    arrays = {
        f"A({word(prompt.tokens[position])}→{end})": attention.at(role) if attention else None
        for role in ("original", "colon")
        if (position := prompt.roles[role]) is not None
    }
    arrays["DLA"] = attention.dla if attention else None
    for name, values in arrays.items():
        for m, model in enumerate(MODELS):
            found = [float("nan") if values is None else float(values[m][cell]) for cell in cells]
            columns[name, model.upper()] = found
    return columns


def _show(plan: Plan, table: pd.DataFrame, cells: list[Place], faint: list[bool]) -> list[Place]:
    # As a number it would be 0.0000013 in one row and 8.7e-7 in the next.
    floors = [brief(value) for value in table["", "noise floor"]]
    table = table.copy()
    table["", "noise floor"] = floors
    places = [(layer, plan.head_of(plan.site, column)) for layer, column in cells]
    height = 35 * (TOP + 3) + 3
    rows = choosable(greyed(table, faint), "top_patching", places, several=True, height=height)
    return [cells[n] for n in rows]


def greyed(table: pd.DataFrame, faint: list[bool]) -> Styler:
    """The table with effect and score in grey in the rows that are within the noise floor."""

    quiet = theme.QUIET[dark()]

    def style(row: pd.Series) -> list[str]:
        grey = [faint[row.name] and name in (("", "effect"), ("", "score")) for name in row.index]
        return [f"color: {quiet}" if cell else "" for cell in grey]

    return numbers(table).apply(style, axis=1) if any(faint) else numbers(table)


def numbers(table: pd.DataFrame) -> Styler:
    """A table whose columns have names in two rows: attention, ranks and divergences have no sign, all else has."""
    return worded(table, _form)


def _form(name: tuple[str, str]) -> Form:
    if name[1].startswith("rank"):
        return COUNT
    return PLAIN if name[1].startswith("KL") else unsigned if name[0].startswith("A(") else FINE


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """The same with one row of names, as a file has it."""
    return table.set_axis([" ".join(name).strip() for name in table], axis=1)
