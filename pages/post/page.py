"""The post, step by step: what it found, beside the same for the models at hand."""

from pages.post import ours, steps
from pages.shared.asking import ask
from pages.shared.figures import nothing_yet

overview = ask("overview")
step = steps.current()
steps.bar(step)
if overview.result is None:
    nothing_yet(overview)
else:
    row = ours.Row()
    found = ours.found(overview, step, row.whose(overview))
    steps.show(step, found)
    row.progress(found)
