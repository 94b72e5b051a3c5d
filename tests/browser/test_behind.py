"""The script behind every page, as Streamlit calls it: anew at every change, and ended with its page."""

from __future__ import annotations

from pages.shared.behind import JS

# Of its calls Streamlit ends those that others have overtaken, at once or once those have begun.
CALLED = """async js => {
  document.body.innerHTML = '<div class="stApp"><div id="behind"></div></div>';
  const { default: run } = await import(URL.createObjectURL(new Blob([js], { type: 'text/javascript' })));
  const heard = [], parentElement = document.querySelector('#behind');
  const call = answered => run({
    data: [{ shortcuts: { listed: [], keys: ['p'], events: {}, answered }, chart_keys: null }], parentElement,
    setStateValue: (name, { key, number }) => heard.push(`${name} ${key} ${number}`),
  });
  const press = () => window.dispatchEvent(new KeyboardEvent('keydown', { key: 'p' }));
  const soon = () => new Promise(resolve => setTimeout(resolve, 100));
  const drawn = async () => {
    const plot = Object.assign(document.createElement('div'), { className: 'js-plotly-plot' });
    plot.innerHTML = '<div class="svg-container"></div>';
    plot._fullLayout = { meta: { keys: 'arrow keys move' } };
    document.body.append(plot);
    await soon();
    heard.push(plot.getAttribute('aria-label'));
    plot.remove();
    await soon();
  };
  call(0)();
  const second = call(0), last = call(0);
  second();
  press();
  await drawn();
  parentElement.remove();
  last();
  press();
  await drawn();
  return heard;
}"""


def test_a_call_that_is_overtaken_ends_nothing_and_the_end_of_the_page_ends_all(chromium):
    page = chromium.new_page()
    heard = page.evaluate(CALLED, JS)
    page.close()
    assert heard == ["pressed p 1", "arrow keys move", None]
