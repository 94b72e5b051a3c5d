"""The page of state: pairs, memory, queue, answers, and who may press its buttons; the app run without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from cache.store import Store
from core.experiment import Experiment
from pages.shared.service import service
from tests.pages.app import opened

PATIENCE = 120
OWN = Experiment(sentence="The quick bear.")  # of which the shipped gallery knows nothing
BUTTONS = ["Release models", "Forget answers in memory", "Empty the store"]


@pytest.fixture
def page(tmp_path, monkeypatch, forget):
    """settings → the page, its answers kept in a folder of the test's own."""

    def shown(**settings: str) -> AppTest:
        for name, value in {
            "PAIR": "tiny",
            "CACHE": str(tmp_path),
            "STORE_MB": "64",
            "SHIPPED": "1",
            **settings,
        }.items():
            monkeypatch.setenv(f"REPHRASE_{name}", value)
        forget()
        return opened("models/page.py").run()

    return shown


def answered(question: str, **options) -> None:
    job = service().ask(question, OWN, owner=service().WARMING, **options)
    assert job.wait(PATIENCE) and job.state == "done"
    service().answers.flush(PATIENCE)


def kept(store: Store, question: str) -> bool:
    return any(question in label for label in store.labels().values())


def table(app: AppTest, column: str):
    """The table with that column."""
    return next(frame.value for frame in app.dataframe if column in frame.value)


def now(app: AppTest) -> dict[str, str]:
    return dict(table(app, "now").itertuples(index=False))


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.label in BUTTONS]


def test_every_listed_pair_stands_there_and_the_one_on_screen_is_marked(page):
    found = table(page(), "on screen")
    assert list(found["id"]) == list(service().pairs())
    assert list(found["id"][found["on screen"]]) == ["tiny"]


def test_resident_pairs_kept_answers_and_noise_floors_are_told(page):
    app = page()
    answered("sweep", site="z", direction="instruct_to_base", positions="all")
    app.run()
    assert now(app)["pairs in memory"].startswith("tiny in float32")
    kept = now(app)["answers in answers.sqlite"]
    assert int(kept.split(",")[0]) == service().answers.store.stats().entries > 0
    floors = table(app, "site")
    assert list(zip(floors["pair"], floors["site"], floors["direction"])) == [("tiny", "z", "instruct_to_base")]


def test_a_device_that_this_machine_has_not_stands_in_the_table(page):
    import core.models.loading  # noqa: F401

    app = page(DEVICE="cuda:77")
    assert not app.exception
    assert "no device 'cuda:77'" in now(app)["device"]


def test_a_public_demo_shows_no_viewers_prompts_and_has_no_buttons(page):
    app = page(HOSTED="1")
    answered("sweep", site="z", direction="instruct_to_base", positions="all")
    app.run()
    assert list(table(app, "site")["prompt"]) == [""]
    assert "Rephrase" not in str(now(app))
    assert labels(app) == []


def test_without_an_operator_the_buttons_are_everybodys(page):
    assert labels(page()) == BUTTONS


def test_buttons_come_with_the_operators_password_alone(page):
    app = page(OPERATOR="open sesame", HOSTED="1")
    assert labels(app) == []
    app.text_input(key="operator").set_value("open").run()
    assert labels(app) == [] and "not the operator's password" in app.error[0].value
    app.text_input(key="operator").set_value("open sesame").run()
    assert labels(app) == BUTTONS and not app.error


def test_the_buttons_release_models_and_empty_the_store(page):
    app = page()
    answered("attribution")
    store, residents = service().answers.store, service().stages.residents
    assert residents.snapshot() and kept(store, "attribution")
    next(button for button in app.button if button.label == "Empty the store").click().run()
    # The page itself asks for the overview again.
    assert not kept(store, "attribution")
    assert service().known("attribution", OWN) is None
    next(button for button in app.button if button.label == "Release models").click().run()
    # Whatever was asked before it ran before it.
    service().worker.submit("after", lambda ctx: None, owner=service().WARMING, group="after").wait(PATIENCE)
    assert residents.snapshot() == ()
