"""A test is handed the tab of an earlier one, and must find it as a new viewer's."""

from __future__ import annotations

LEFT = "[localStorage.length, sessionStorage.length, document.cookie.includes('left')]"
LOOKS = "[innerWidth, innerHeight, matchMedia('(prefers-color-scheme: dark)').matches]"


def test_a_tab_is_handed_on_without_what_an_earlier_viewer_left_in_it(app, tabs):
    kind, page = {"locale": "fr-FR"}, f"{app.url}_stcore/health"
    first = tabs.take(**kind, viewport={"width": 400, "height": 300}, color_scheme="dark")
    first.goto(page)
    first.evaluate("localStorage.left = sessionStorage.left = 1; document.cookie = 'left=1'")
    assert first.evaluate(LEFT) == [1, 1, True] and first.evaluate(LOOKS) == [400, 300, True]
    tabs.give(first, app.url, **kind)
    assert tabs.take() is not first
    second = tabs.take(**kind)
    assert second is first
    second.goto(page)
    assert second.evaluate(LEFT) == [0, 0, False] and second.evaluate(LOOKS) == [1280, 900, False]


def test_a_tab_whose_server_is_gone_is_handed_on_too_and_a_closed_one_is_not(app, tabs):
    kind = {"locale": "es-ES"}
    first = tabs.take(**kind)
    tabs.give(first, "http://localhost:1/", **kind)
    assert tabs.take(**kind) is first
    first.close()
    tabs.give(first, app.url, **kind)
    assert tabs.take(**kind) is not first
