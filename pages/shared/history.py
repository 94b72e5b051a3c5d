"""The last experiments of this tab with their numbers: a click returns to one, or keeps it as A to compare with.

The numbers are those that the tab has shown, or that are kept: nothing is computed for the list. The browser alone
opens and closes it, as the list of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import streamlit as st

from core.experiment import Experiment, shorten
from core.wording import signed, visible, word
from pages.shared import stage, state
from pages.shared.asking import Asking
from pages.shared.service import service
from pages.shared.shortcuts import Shortcut

MOST = 20
_EVENT = "rephrase-history"
SHORTCUTS = (Shortcut("h", "open and close the history: the last experiments with their numbers", event=_EVENT),)


@dataclass(frozen=True)
class Entry:
    """number: its name in this tab. words: original and answer, and numbers: the logit difference of BASE and of
    INSTRUCT, in logits; both None until they are known."""

    number: int
    experiment: Experiment
    words: tuple[str, str] | None = None
    numbers: tuple[float, float] | None = None

    @cached_property
    def told(self) -> dict[str, object]:
        """What the list says of it: the prompt in short, original → answer, BASE, INSTRUCT and the gap."""
        experiment = self.experiment
        return {
            "number": self.number,
            "prompt": in_short(experiment),
            "title": experiment.prompt if experiment.is_free else f"{experiment.instruction}: {experiment.sentence}",
            "words": _words(self),
            "numbers": _numbers(self.numbers),
        }


def entries() -> list[Entry]:
    """The newest first."""
    return st.session_state.get("history", [])


def _same(a: Experiment, b: Experiment) -> bool:
    """Whether they are one experiment, whatever token is followed."""
    return _of_no_token(a) == _of_no_token(b)


def _of_no_token(experiment: Experiment) -> Experiment:
    followed = experiment.colon or experiment.picked is not None
    return replace(experiment, colon=0, picked=None) if followed else experiment


def note(asking: Asking) -> None:
    """At a page's end: have the experiment in the list, with its numbers once they are there; one that is refused, or
    whose word only stands in for another, is not listed."""
    experiment, overview = state.experiment(), asking.ask("overview")
    found = next((entry for entry in entries() if _same(entry.experiment, experiment)), None)
    others = [entry for entry in entries() if entry is not found]
    if asking.errors:
        if found is not None and found.numbers is None:
            st.session_state.history = others
        return
    if st.session_state.get("choosing"):
        return
    if found is None:
        number = 1 + max((entry.number for entry in entries()), default=0)
        found = Entry(number, experiment)
        st.session_state.history = [found, *others][:MOST]
    if found.numbers is None and overview.fresh and overview.result is not None:
        known = _known(found, overview.result)
        st.session_state.history = [known if entry is found else entry for entry in entries()]


def _known(entry: Entry, overview) -> Entry:
    base, instruct = map(float, overview.summary.logit_diff)
    prompt = overview.prompt
    return replace(entry, words=(prompt.original, prompt.answer), numbers=(base, instruct))


_CSS = """
button { all: unset; cursor: pointer; }
.open { font: 0.875rem/1.6 var(--st-font, sans-serif); color: var(--st-text-color); padding: 2px 6px;
  border-radius: 6px; white-space: nowrap; }
.open:hover { color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.hidden { display: none; }
dialog { color: var(--st-text-color); background: var(--st-background-color);
  font: 1rem/1.45 var(--st-font, sans-serif); border: 1px solid var(--st-border-color, #8884); border-radius: 12px;
  padding: 1.1rem 1.4rem; width: min(62rem, 94vw); max-height: 88vh; box-sizing: border-box; overflow-y: auto; }
dialog::backdrop { background: #0006; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
ol { list-style: none; margin: 0; padding: 0; }
li { display: flex; gap: .5rem; align-items: center; border-top: 1px solid var(--st-border-color, #8884); }
.go { flex: 1; min-width: 0; display: grid; gap: .1rem 1rem; padding: .3rem .4rem; border-radius: 6px;
  grid-template-columns: minmax(0, 1fr) 10rem 20rem; align-items: baseline; }
.go:hover, .as-a:hover { background: var(--st-secondary-background-color); }
.go[aria-current] .prompt { font-weight: 700; }
.go[aria-current] { box-shadow: inset 4px 0 var(--st-primary-color); }
.prompt { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-left: .4rem; }
.words { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.numbers { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.as-a { font-size: .875rem; padding: .2rem .5rem; border-radius: 6px; white-space: nowrap; }
@media (max-width: 800px) {
  .go { grid-template-columns: minmax(0, 1fr); }
  .prompt, .numbers { white-space: normal; }
  .words, .numbers { text-align: left; padding-left: .4rem; }
}
"""

_JS = """
export default function ({ data: [data], setTriggerValue, parentElement }) {
  let dialog = parentElement.querySelector('dialog'), open = parentElement.querySelector('.open');
  if (!dialog) {
    dialog = document.createElement('dialog');
    dialog.setAttribute('aria-label', 'History');
    dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
    open = document.createElement('button');
    open.type = 'button';
    open.className = 'open';
    open.textContent = 'History';
    open.title = 'The last experiments with their numbers: H';
    open.onclick = () => show();
    parentElement.append(open, dialog);
  }
  const show = () => {
    dialog.showModal();
    dialog.querySelector('[aria-current]')?.focus();
  };
  open.classList.toggle('hidden', data.hidden);
  const part = (kind, name, text, into) => {
    const made = document.createElement(kind);
    made.className = name;
    made.textContent = text;
    into.appendChild(made);
    return made;
  };
  const spelled = JSON.stringify(data.entries);
  if (dialog.dataset.entries !== spelled) {
    dialog.dataset.entries = spelled;
    const buttons = () => [...dialog.querySelectorAll('button')];
    const had = buttons().indexOf(dialog.getRootNode().activeElement);
    dialog.replaceChildren();
    part('h2', '', 'History', dialog);
    if (!data.entries.length) part('p', '', 'Nothing has been shown in this tab yet.', dialog);
    const list = part('ol', '', '', dialog);
    for (const entry of data.entries) {
      const item = part('li', '', '', list), go = part('button', 'go', '', item);
      part('span', 'prompt', entry.prompt, go);
      part('span', 'words', entry.words, go);
      part('span', 'numbers', entry.numbers, go);
      go.type = 'button';
      go.title = entry.title;
      if (entry.current) go.setAttribute('aria-current', 'true');
      const pick = name => () => { dialog.close(); setTriggerValue(name, entry.number); };
      go.onclick = pick('returned');
      const compare = part('button', 'as-a', 'Compare', item);
      compare.type = 'button';
      compare.title = 'Compare with this one: it becomes A';
      compare.onclick = pick('compared');
    }
    // The focus stays where it was: the buttons are new ones.
    if (dialog.open) buttons()[had]?.focus({ preventScroll: true });
  }
  parentElement.listening?.abort();
  const listening = parentElement.listening = new AbortController();
  const turn = () => dialog.open ? dialog.close() : show();
  window.addEventListener(data.event, event => { event.preventDefault(); turn(); }, { signal: listening.signal });
  if (window.rephraseUnheard?.delete(data.event)) turn();
  return () => listening.abort();
}
"""

_KEY = "history_list"
_list = st.components.v2.component("rephrase_history", css=_CSS, js=_JS)


def menu() -> None:
    """The button that opens the list, off the stage, and the list."""

    def chosen(name: str) -> Experiment | None:
        number = st.session_state[_KEY].get(name)
        return next((entry.experiment for entry in entries() if entry.number == number), None)

    def returned() -> None:
        if (experiment := chosen("returned")) is not None:
            state.take(experiment)

    def compared() -> None:
        if (experiment := chosen("compared")) is not None:
            state.compare(experiment)

    current = state.experiment()
    data = {"entries": [_row(entry, current) for entry in entries()], "event": _EVENT, "hidden": stage.on()}
    if stage.on():
        st.html(f"<style>.st-key-{_KEY} {{ position: absolute; width: 0; height: 0; }}</style>")
    # In a list: see `pages.shared.behind`.
    _list(data=[data], key=_KEY, on_returned_change=returned, on_compared_change=compared, width="content")


def _row(entry: Entry, current: Experiment) -> dict[str, object]:
    if entry.numbers is None and (overview := service().known("overview", entry.experiment)) is not None:
        entry = _known(entry, overview)
    return {**entry.told, "current": _same(entry.experiment, current)}


def in_short(experiment: Experiment) -> str:
    """The prompt in one line; what is not the default's is named."""
    if experiment.is_free:
        said = [shorten(experiment.prompt, 80)]
    else:
        said = [shorten(experiment.sentence, 60)]
        if experiment.instruction != Experiment().instruction:
            said.append(shorten(experiment.instruction, 40))
    if experiment.template != "raw":
        said.append(f"template {experiment.template}")
    pair = experiment.pair or f"{experiment.base} → {experiment.instruct}"
    if pair != service().start.pair:
        said.append(f"pair {shorten(pair, 30)}")
    return " · ".join([*said, *([experiment.dtype] if experiment.dtype else [])])


def _words(entry: Entry) -> str:
    original, answer = entry.words or (entry.experiment.original, entry.experiment.answer)
    return f"{word(original) if original.strip() else visible(original)} → {word(answer) if answer.strip() else '…'}"


def _numbers(numbers: tuple[float, float] | None) -> str:
    if numbers is None:
        return "not computed"
    base, instruct = numbers
    return f"BASE {signed(base)} · INSTRUCT {signed(instruct)} · gap {signed(instruct - base)}"
