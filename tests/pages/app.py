"""The app run without a browser."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

FRAME = Path(__file__).parents[2] / "pages/frame.py"
SOON = 120.0


def opened(page: str = "", **parameters: str) -> AppTest:
    """The app on a page, its address with the parameters; not run yet where no page is named."""
    test = AppTest.from_file(str(FRAME), default_timeout=SOON)
    for name, value in parameters.items():
        test.query_params[name] = value
    # A switch before the first run would be ignored.
    return test.run().switch_page(page) if page else test


def settled(test: AppTest) -> AppTest:
    """Run until nothing is under way."""
    test.run()
    while waiting := test.session_state.asking.waiting:
        assert all(job.wait(SOON) for job in waiting)
        test.run()
    assert not test.exception
    return test
