"""What every test stands on: one CPU thread, quiet libraries, an environment without a developer's own settings."""

from __future__ import annotations

import gc
import json
import os
from functools import cache
from types import SimpleNamespace

# Before any module reads them: settings of the machine must not decide a test.
for _name in [name for name in os.environ if name.startswith(("REPHRASE_", "STREAMLIT_"))]:
    del os.environ[_name]
# A process that a test starts keeps what it compiles for the next: a server begins with some three hundred modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Before torch starts its threads: one that waits for the others keeps a core busy that another process needs, and of a
# real pair's runs beside others' the waiting was nine tenths.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# On every machine the same pair, and the one that is loaded in a moment.
os.environ["REPHRASE_PAIR"] = "tiny"
# Nothing is kept on disk, or found there, but by the tests of just that.
os.environ |= {"REPHRASE_STORE_MB": "0", "REPHRASE_SHIPPED": "0"}

import plotly.graph_objects as go  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from core.charts import theme  # noqa: E402
from tests.random_models import boot  # noqa: E402
from tests.random_pair import RandomPair, random_pair  # noqa: E402
from tests.random_tokenizers import build  # noqa: E402

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@pytest.fixture(scope="session", autouse=True)
def _imports_are_walked_no_more():
    """The collector passes over what has been imported. With each pair that it loads the app collects, frees and
    freezes, which walked all imports anew in the process of the tests and took longer than the loading. That it does so
    in the right order is the business of the tests of `cache.models`, which get the collector itself.
    """
    from cache import models

    gc.collect()
    gc.freeze()
    models.gc = SimpleNamespace(collect=gc.collect, freeze=lambda: None, unfreeze=lambda: None)
    yield
    models.gc = gc


@pytest.fixture(scope="session", autouse=True)
def every_figure_is_valid():
    """The app has no time to have Plotly check what it draws."""
    unchecked = theme.frame

    def checked(*args, **options) -> go.Figure:
        fig = unchecked(*args, **options)
        drawn, valid = (json.loads(each.to_json()) for each in (fig, go.Figure(fig.to_dict())))
        # Plotly leaves an empty list out.
        assert drawn["data"] == valid["data"]
        assert {name: part for name, part in drawn["layout"].items() if part != []} == valid["layout"]
        return fig

    theme.frame = checked
    yield
    theme.frame = unchecked


@pytest.fixture(scope="session")
def chromium():
    """The one browser of a process: Playwright takes no second one beside it."""
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.chromium import ARGS, find

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tokenizer_of():
    """kind, adds_bos → a tokenizer, built once."""
    return cache(build)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """family, groups → a folder with the pair's `base` and `instruct` in Hugging Face's format, no tokenizer."""
    return cache(lambda family, groups: tmp_path_factory.mktemp(f"{family}-{groups}"))


@pytest.fixture(scope="session")
def pair_of(folder_of):
    """family, groups, dtype → a random pair with a recorded prompt, made once."""

    @cache
    def make(family: str = "llama", groups: int = 2, dtype: torch.dtype = torch.float32) -> RandomPair:
        return random_pair(family, groups, folder_of(family, groups), dtype)

    return make


@pytest.fixture(scope="session")
def booted(folder_of, pair_of, tokenizer_of):
    """family, model → a bridge of a random pair's weights that the test may change."""

    def make(family: str = "llama", model: str = "base", groups: int = 2, dtype: torch.dtype = torch.float32):
        pair_of(family, groups)
        return boot(folder_of(family, groups) / model, tokenizer_of("byte_level"), dtype)

    return make
