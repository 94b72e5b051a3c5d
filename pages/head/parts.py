"""The parts of the page of one head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
import streamlit as st

from core import definitions
from core.attention_results import Attention
from core.charts import theme
from core.charts.attention import attention_bars, attention_span
from core.head.results import ALONE, HEAD_PATCHES, HeadPatches, HeadReport, HeadScores
from core.head.sentence import PatchEvidence, head_in_brief, head_sentence, unseen
from core.results import MODELS, group_name, head_name
from core.wording import brief, located, percent, rank, signed, unsigned, words
from pages.head.sources import source
from pages.shared import circuitsvis, heads, stage, state
from pages.shared.asking import Answer, ask
from pages.shared.drawn import drawn
from pages.shared.figures import below, figure, figures
from pages.shared.finding import finding
from pages.shared.headings import heading
from pages.shared.tables import FINE, worded
from pages.shared.text import plain, quoted
from pages.shared.widgets import choice

Patches = tuple[HeadPatches, HeadPatches]  # INSTRUCT → BASE, BASE → INSTRUCT

_INPUTS = {"recorded": "what it read there", "embedding": "the bare embedding", "effective": "embedding + first MLP"}
_PATCHES = {
    "z": "output (z)",
    "value_only": "value only",
    "pattern_only": "pattern only",
    "result": "output through the donor's W_O (result)",
    "joint_z": "outputs together",
    "joint_value_only": "values only, together",
    "joint_pattern_only": "patterns only, together",
    "v": "the group's value vector (v)",
}
_KINDS = {"copying": "copies it", "suppressing": "suppresses it", "neither": "neither copies nor suppresses it"}
_SCORES = {"previous": "previous token", "induction": "induction", "bos": "BOS", "first": "first token"}


def title(head: heads.Chosen, attention: Attention) -> None:
    """Which head, and the choice of another one."""
    with st.container(
        horizontal=True, key="head_title", vertical_alignment="center", horizontal_alignment="distribute"
    ):
        heading(f"What does {head.name} do?")
        heads.picker(attention.weight.shape[1:3], head.place)


def patches(head: heads.Place) -> Answer | None:
    """The head's patches in both directions, folded: run where somebody looks, or where no sweep says what it moves."""
    with st.expander("What patching it moves", key="fold_patches", on_change="rerun") as fold:
        known = heads.swept()
        if known is not None and known.ran(head) and not fold.open:
            return None
        answer = ask("head_patches", layer=head[0], head=head[1])
        if fold.open:
            with figures(answer, key="patches"):
                patch_table(answer.result, head)
        return answer


def evidence(report: HeadReport, patched: Answer | None) -> PatchEvidence | None:
    """What patching its output into BASE does, of the report's head on the current prompt."""
    head = (report.layer, report.head)
    if patched is None:
        sweep = heads.swept()
        if sweep is None or not sweep.ran(head):
            return None
        effect, score, noise = (float(cells[head]) for cells in (sweep.effect, sweep.score, sweep.noise_floor))
        return PatchEvidence(effect, score, noise)
    if not patched.fresh or not _of(patched.result, head):
        return None
    forth: HeadPatches = patched.result[0]
    return PatchEvidence(forth.effect["z"], forth.score["z"], forth.noise_floor["z"])


def sentence(report: Answer, evidence: PatchEvidence | None, scores: Answer) -> None:
    """What the numbers support, in one sentence; what is not there yet is left out."""
    found: HeadReport = report.result
    kinds = None
    if scores.result is not None and scores.agrees_with(report):
        kinds = scores.result.of(found.layer, found.head)
    evidence = evidence if report.fresh else None
    with st.container(key="sentence"):
        terms = definitions.ATTENTION + definitions.PATCHING
        st.markdown(plain(head_sentence(found, found.ov.position, evidence, kinds)), help=terms)


def reading(report: HeadReport, first: str) -> None:
    """How to read its sentence. first: position 0's name."""
    st.caption(" ".join(filter(None, (_reads(report), _rests(report, first), unseen(report)))))


def _of(patches: Patches | None, head: heads.Place) -> bool:
    """Whether they are there, and of this head."""
    return patches is not None and (patches[0].layer, patches[0].head) == head


def _reads(report: HeadReport) -> str:
    at = report.ov.position
    where = f"Arrows lead from BASE to INSTRUCT. Source: {plain(located(report.tokens, at))}."
    if len(report.group_heads) == 1:
        return where
    others = ", ".join(head_name(report.layer, h) for h in report.group_heads if h != report.head)
    return f"{where} It shares the values of {group_name(report.layer, report.group)} with {others}."


def _rests(report: HeadReport, first: str) -> str:
    base, instruct = report.weight[:, 0]
    return f"Of END's attention, {unsigned(base)} → {unsigned(instruct)} lies on {first}."


def attended(report: HeadReport) -> None:
    """From END: what it attends to."""
    title = f"{report.name}: attention from END"
    size, span = stage.size(), stage.steady("attention from END", attention_span(report.weight))
    figure(
        drawn(attention_bars, report.weight, report.tokens, title, theme.ATTENTION, None, size, span),
        "head_attention_by_token",
        "The bars of one model sum to 1.",
        definitions.ATTENTION,
        report.to_frame,
        of=heads.of((report.layer, report.head)),
    )


def on_stage(overview: Answer, attention: Attention) -> None:
    """The head in one glance: what it looks at, and what it moves where that is known."""
    chosen = heads.chosen_in(attention)
    layer, head = chosen.place
    heading(f"What does {chosen.name} do?")
    asked = ask("head", layer=layer, head=head, source=source(attention, chosen.place), ov_input=state.view("ov"))
    with figures(overview, asked, key="head"):
        if asked.result is not None:
            found = evidence(asked.result, None) if asked.fresh else None
            finding(head_in_brief(asked.result, found), definitions.ATTENTION)
            attended(asked.result)


@contextmanager
def _folded(title: str, key: str) -> Iterator[bool]:
    """A part that is drawn only while it is open."""
    with st.expander(title, key=f"fold_{key}", on_change="rerun") as fold:
        yield bool(fold.open)


def written(report: HeadReport) -> None:
    """What it writes along the difference, by what it attends to."""
    with _folded("What it writes along the difference", "written") as is_open:
        if not is_open:
            return
        title = f"{report.name}: written along the difference"
        figure(
            drawn(attention_bars, report.written, report.tokens, title, theme.LOGITS),
            "head_written_by_token",
            "Above 0 towards the answer. The bars of one model sum to the head's direct logit attribution.",
            definitions.ATTENTION,
            report.to_frame,
            of=heads.of((report.layer, report.head)),
        )


def pattern(report: HeadReport) -> None:
    """The whole pattern in both models."""
    with _folded("The whole pattern", "pattern") as is_open:
        if not is_open:
            return
        views = [
            circuitsvis.pattern_view(f"{model.upper()}, {report.name}", values, report.tokens, model)
            for model, values in zip(MODELS, report.pattern)
        ]
        label = f"attention pattern of {report.name} in both models"
        circuitsvis.show(views, "head_pattern", label, len(report.tokens), columns=2)
        read = f"Rows attend, columns are attended to; hover for a value.{circuitsvis.cut(len(report.tokens))}"
        of = heads.of((report.layer, report.head))
        below("head_patterns", read, definitions.PATTERN, partial(_pattern_table, report), of)


def _pattern_table(report: HeadReport) -> pd.DataFrame:
    rows = [
        (model, query, source, float(report.pattern[m, query, source]))
        for m, model in enumerate(MODELS)
        for query in range(len(report.tokens))
        for source in range(query + 1)
    ]
    return pd.DataFrame(rows, columns=["model", "query", "source", "value"])


def patch_table(patches: Patches | None, head: heads.Place) -> None:
    """The head's patches in both directions: alone, then with its group."""
    if patches is None or not _of(patches, head):
        st.caption("No patch of this head has run yet.")
        return
    forth, back = patches
    for reason in dict.fromkeys(patched.gap.reason for patched in patches if patched.gap.reason):
        st.warning(reason[0].upper() + reason[1:] + ".")
    columns: dict[tuple[str, str], list] = {("", "patched"): [_patched(forth, patch) for patch in HEAD_PATCHES]}
    for name, patched in (("INSTRUCT → BASE", forth), ("BASE → INSTRUCT", back)):
        if not patched.gap.reason:
            columns[name, "score"] = list(patched.score.values())
        columns[name, "effect, logits"] = list(patched.effect.values())
        columns[name, "noise"] = ["within" if within else "" for within in patched.within_noise.values()]
    st.dataframe(worded(pd.DataFrame(columns)), hide_index=True, width="stretch")
    floors = " and ".join(" / ".join(brief(patched.noise_floor[patch]) for patch in ("z", "v")) for patched in patches)
    noise = f"“Within”: no further than rounding moves it, the noise floor ({floors} logits, head / group)."
    frames = pd.concat([patched.to_frame() for patched in patches], ignore_index=True)
    read = f"Donor → recipient, all positions. {noise}"
    below("head_patches", read, definitions.HEAD_PATCHES, frames, heads.of(head))


def _patched(patches: HeadPatches, patch: str) -> str:
    if patch in ALONE:
        return f"{head_name(patches.layer, patches.head)}: {_PATCHES[patch]}"
    return f"{group_name(patches.layer, patches.group)} ({len(patches.group_heads)} heads): {_PATCHES[patch]}"


def ov_tables(report: HeadReport) -> None:
    """What attending to the source token promotes and suppresses, and where that token itself stands."""
    ov = report.ov
    token = ov.tokens[ov.position]
    with _folded("OV circuit: what attending to the source writes", "ov") as is_open:
        if is_open:
            choice(st.segmented_control, "It reads", "ov", _INPUTS, required=True)
            _ov_tables(report, token)


def _ov_tables(report: HeadReport, token: str) -> None:
    ov = report.ov
    for m, column in enumerate(st.columns(2)):
        with column:
            itself = f"{quoted(token)} itself: rank {rank(ov.own_rank[m])} of {ov.vocab:,}"
            own = signed(ov.own[m, ov.position], 3)
            st.caption(f"{MODELS[m].upper()} {_KINDS[ov.kinds()[m]]} · {itself}, {own} logits")
            _ov_table(report, m)
    counts = ov.counts()
    said = " · ".join(f"{kind} {base} → {instruct}" for kind, (base, instruct) in counts.items())
    read = f"At attention 1, by the direct path. Of the prompt's tokens: {said} (BASE → INSTRUCT)."
    below("ov_circuit", read, definitions.OV, ov.to_frame, heads.of((report.layer, report.head)))


def _ov_table(report: HeadReport, m: int) -> None:
    up, down = report.ov.promoted[m], report.ov.suppressed[m]
    table = pd.DataFrame({"promoted": up.strings, "+": up.value, "suppressed": down.strings, "−": down.value})
    for name in ("promoted", "suppressed"):
        table[name] = words(table[name])
    number = st.column_config.NumberColumn("logits")
    st.dataframe(worded(table), hide_index=True, column_config={"+": number, "−": number}, width="stretch")


def weights(report: HeadReport) -> None:
    """How far fine-tuning moved its weights, among its layer's."""
    with _folded("How far fine-tuning moved its weights", "weights") as is_open:
        if is_open:
            _weights(report)


def _weights(report: HeadReport) -> None:
    table = report.weights.of(report.head)
    ranks = [
        f"{rank + 1} of {count}" if value > 0 else "not moved"
        for rank, count, value in zip(table["rank"], table["count"], table["value"])
    ]
    shown = table.assign(rank=ranks)
    shown = shown[["weight", "name", "value", "median", "rank"]].rename(
        columns={"name": "of", "value": "moved by", "median": "median of the layer", "rank": "rank (1 = moved most)"}
    )
    st.dataframe(worded(shown, lambda name: percent), hide_index=True, width="stretch")
    read = f"‖W INSTRUCT − W BASE‖ / ‖W BASE‖ against the other heads of layer {report.layer}."
    below("weight_change", read, definitions.WEIGHTS, report.weights.to_frame)


def score_table(scores: Answer, attention: Answer, head: heads.Place) -> None:
    """What kind of head it is on random repeated tokens."""
    with _folded("On random repeated tokens", "scores") as is_open:
        if is_open:
            with figures(scores, key="scores"):
                # Another pair's may have fewer heads.
                _scores(scores.result if scores.agrees_with(attention) else None, head)


def _scores(scores: HeadScores | None, head: heads.Place) -> None:
    if scores is None:
        st.caption("No score has been measured yet.")
        return
    found = scores.of(*head)
    rows = [(_SCORES[name], *map(float, values), float(values[1] - values[0])) for name, values in found.items()]
    table = pd.DataFrame(rows, columns=["score", "BASE", "INSTRUCT", "INSTRUCT − BASE"])
    form = lambda name: FINE if name == "INSTRUCT − BASE" else partial(unsigned, digits=3)  # noqa: E731
    st.dataframe(worded(table, form), hide_index=True, width="stretch")
    read = f"Mean attention over {scores.sequences} sequences of {scores.length} random tokens and their repetition."
    below("head_scores", read, definitions.SCORES, scores.to_frame)
