"""The post, step by step: what it found, beside the same for the models at hand."""

from pages.post import ours, steps
from pages.shared import stage
from pages.shared.asking import ask
from pages.shared.figures import nothing_yet
from pages.shared.headings import heading

overview = ask("overview")
heading("What does the post show, and do these models show it too?")
step = steps.current()
if not stage.on():
    steps.bar(step)
if overview.result is None:
    nothing_yet(overview)
else:
    steps.show(step, ours.found(overview, step, ours.whose(overview)))
