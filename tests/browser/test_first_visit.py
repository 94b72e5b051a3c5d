"""Who is here for the first time is told three steps, once and for all, and nothing moves when they go."""

from playwright.sync_api import expect

from pages.shared.first_visit import STEPS


def test_the_steps_are_in_sight_until_they_are_dismissed_and_take_no_room(viewer):
    page = viewer.page
    page.set_viewport_size({"width": 1280, "height": 720})
    viewer.open()
    steps = page.get_by_role("complementary", name="First steps")
    expect(steps).to_contain_text("".join(STEPS))
    # In the strip above the prompt bar, beside the sidebar.
    lies_above = """() => {
      const box = element => element.getBoundingClientRect();
      const find = node => node.querySelector?.('.steps') ?? [...node.querySelectorAll('*')]
        .map(inner => inner.shadowRoot && find(inner.shadowRoot)).find(Boolean);
      const steps = box(find(document)), bar = box(document.querySelector('.st-key-prompt_bar'));
      const side = box(document.querySelector('.stSidebar'));
      return steps.bottom <= bar.top && steps.left >= side.right && steps.right < 1240;
    }"""
    page.wait_for_function(lies_above)
    place = "() => document.querySelector('.st-key-summary .js-plotly-plot').getBoundingClientRect().top"
    expect(page.locator(".st-key-summary .js-plotly-plot .main-svg").first).to_be_visible()
    before = page.evaluate(place)
    # In a narrow window they are opened first, and lie over nothing until then.
    page.set_viewport_size({"width": 390, "height": 844})
    expect(steps.get_by_role("list")).to_be_hidden()
    top = page.locator(".st-key-prompt_bar").bounding_box()["y"]
    box = steps.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= top and box["x"] + box["width"] < 350
    steps.get_by_role("button", name="First steps").click()
    expect(steps.get_by_role("list")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 720})
    steps.get_by_role("button", name="Got it").click()
    expect(steps).to_have_count(0)
    assert page.evaluate(place) == before
    page.reload()
    viewer.settle()
    expect(page.locator(".st-key-summary .js-plotly-plot")).to_be_visible()
    expect(steps).to_have_count(0)
    expect(page.get_by_role("link", name="The REPHRASE Circuit")).to_have_attribute(
        "href", "https://www.lesswrong.com/posts/nYNjjCFmTMcKdCmHM"
    )
    expect(viewer.status).to_contain_text("toy pair")
