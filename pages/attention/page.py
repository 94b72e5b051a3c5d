"""Attention: where END looks in each model, head by head, and where the two models differ."""

from core import definitions
from core.findings import of_attention
from pages.attention import listed, maps, patterns
from pages.shared import heads, stage
from pages.shared.asking import ask
from pages.shared.figures import figures, nothing_yet
from pages.shared.finding import finding
from pages.shared.headings import heading

heading("Where does the model look, and where do the two look differently?")
overview = ask("overview")
answer = ask("attention")
attention = answer.result
if attention is None or overview.result is None:
    nothing_yet(overview, answer)
else:
    head = heads.chosen_in(attention)
    with figures(overview, answer, key="attention"):
        finding(of_attention(attention, heads.followed(attention)), definitions.ATTENTION)
        maps.heatmaps(attention, head.place)
        if not stage.on():
            maps.sources(attention, overview.result)
            maps.strips(attention, head)
            maps.layers(attention)
            chosen = listed.choose(attention)
            listed.tables(attention, chosen)
    if not stage.on():
        patterns.viewer(head.place, chosen)
