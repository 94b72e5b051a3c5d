"""What the tests of this folder share."""

from tests.cache.jobs import worker  # noqa: F401
