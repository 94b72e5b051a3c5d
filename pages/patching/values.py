"""Values against outputs: the post's scatter in two versions, and each KV group beside its single heads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.charts import theme
from core.charts.patching import value_output_scatter
from core.patching.results import Sweep
from core.results import group_name, head_name
from core.wording import signed
from pages.patching.plan import Plan


def scatters(
    plan: Plan,
    z: Sweep,
    v: Sweep,
    value_only: Sweep,
    chosen: tuple[int, int] | None,
    shown: theme.SizeName = "normal",
) -> list[tuple[str, go.Figure, pd.DataFrame, str]]:
    """(key, figure, table, how to read it) of both versions."""
    outputs, size = plan.values(z), plan.group_size
    # A point says something where at least one of its two patches does.
    grouped, single = (
        z.within_noise & within for within in (np.repeat(v.within_noise, size, 1), value_only.within_noise)
    )
    versions = [
        (
            "as_in_the_post",
            "As in the post: a group's value, a head's output",
            np.repeat(plan.values(v), size, axis=1),
            "value patch of the KV group",
            _as_in_the_post(plan),
            grouped,
        ),
        (
            "like_with_like",
            "Like with like: one head's value, its output",
            plan.values(value_only),
            "value only, one head",
            "Both patches change one query head. Lines join a KV group." if size > 1 else "Both change one head.",
            single,
        ),
    ]
    grey = " Grey: both within the noise floor."
    return [
        (
            key,
            value_output_scatter(x, outputs, size, title, plan.unit, name, chosen, shown, faint),
            _points(plan, x, outputs, faint),
            read + grey,
        )
        for key, title, x, name, read, faint in versions
    ]


def _as_in_the_post(plan: Plan) -> str:
    read = f"One value patch moves {plan.group_size} query heads at once."
    if plan.group_size == 1:
        read = "Every head has values of its own."
    if plan.positions != "all":
        read += " Values are patched where they are read from, outputs where they are gathered."
    return read


def _points(plan: Plan, values: np.ndarray, outputs: np.ndarray, faint: np.ndarray) -> pd.DataFrame:
    """Numbers are effects or scores, as drawn; the columns say which."""
    layers, heads = np.indices(values.shape)
    names = [head_name(int(layer), int(head)) for layer, head in zip(layers.ravel(), heads.ravel())]
    kind = "effect" if plan.in_logits else "score"
    columns = {"layer": layers.ravel(), "head": heads.ravel(), "positions": plan.positions}
    columns |= {f"value_{kind}": values.ravel(), f"output_{kind}": outputs.ravel()}
    return pd.DataFrame({"name": names, **columns, "within_noise": faint.ravel()})


def group_table(plan: Plan, *sweeps: Sweep) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """One row a KV group, the joint patches beside the single heads' and their sums; and each row's (layer, group).

    sweeps: output patches of single heads, value patches of groups, value-only ones of single heads, joint output
    patches. Columns in two rows: the patch, and whether of the group at once or of one head. In brackets the single
    heads that are within the noise floor.
    """
    z, v, value_only, joint = map(plan.values, sweeps)
    noise = {"value patch": sweeps[2].within_noise, "output patch": sweeps[0].within_noise}
    within = {"value patch": sweeps[1].within_noise, "output patch": sweeps[3].within_noise}
    size = plan.group_size
    order = np.argsort(-np.abs(np.nan_to_num(v)), axis=None, kind="stable")
    groups = [(int(layer), int(group)) for layer, group in zip(*np.unravel_index(order, v.shape))]
    rows = []
    for layer, group in groups:
        heads = slice(group * size, (group + 1) * size)
        row: dict[tuple[str, str], object] = {("", "group"): group_name(layer, group)}
        row["", "heads"] = f"{heads.start} to {heads.stop - 1}"
        for name, whole, single in (("value patch", v, value_only), ("output patch", joint, z)):
            row[name, "joint"] = float(whole[layer, group])
            row[name, "noise"] = "within" if within[name][layer, group] else ""
            row[name, "sum of heads"] = float(single[layer, heads].sum())
            alone = [(signed(x, 3), grey) for x, grey in zip(single[layer, heads], noise[name][layer, heads])]
            row[name, "each head alone"] = "  ".join(f"({number})" if grey else number for number, grey in alone)
        rows.append(row)
    table = pd.DataFrame(rows)
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table, groups


def group_csv(
    plan: Plan, groups: list[tuple[int, int]], z: Sweep, v: Sweep, value_only: Sweep, joint: Sweep
) -> pd.DataFrame:
    """The same in tidy columns: one row a query head, its group's joint patches beside its own; floors in logits."""
    kind, size = "effect" if plan.in_logits else "score", plan.group_size
    cells = [(layer, group, h) for layer, group in groups for h in range(group * size, (group + 1) * size)]
    layer, group, head = np.array(cells).T
    columns = {"group": [group_name(*cell[:2]) for cell in cells], "layer": layer, "kv_group": group, "head": head}
    columns["positions"] = plan.positions
    sweeps = {"joint_value": (v, group), "head_value": (value_only, head)}
    sweeps |= {"joint_output": (joint, group), "head_output": (z, head)}
    columns |= {f"{name}_{kind}": plan.values(sweep)[layer, column] for name, (sweep, column) in sweeps.items()}
    floors = {f"{name}_noise_floor": sweep.noise_floor[layer, column] for name, (sweep, column) in sweeps.items()}
    return pd.DataFrame(columns | floors)
