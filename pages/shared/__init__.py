"""What several pages share. The definitions are the core's: a report has them too."""

from core import definitions as definitions
