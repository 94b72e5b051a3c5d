"""Models: which pairs there are, and what this server holds and does now."""

from pages.models import parts
from pages.shared import stage
from pages.shared.headings import heading

heading("Which models can run here, and what is this server doing?")
parts.pairs()
if not stage.on():
    parts.live()
    parts.noise_floors()
    parts.buttons()
    parts.libraries()
