"""The fixed prompts that the pair is measured on; each line of `heldout.jsonl` is one, with every accepted next word.

unseen: adjective, noun, frame and wording stand in no training text. trained: all of them do, but the adjective and its
noun never near each other. repeat and opposite ask something else of unseen and of trained words. Accepted are the
synonyms of the lists here, in any of the word's groups, and of WordNet, each one token; the answer is the one that BASE
itself finds likeliest, so that no prompt is decided by a rare word. Of six sentences drawn, the one that BASE finds
least surprising is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from core.linear import fast_linears
from core.smollm2.sentences import Sentence, adjectives_of, article, fill, frames, pieces, render
from core.smollm2.wordnet import related
from core.smollm2.words import held_out_in, in_any_class, opposites, synonyms, wordings
from core.tiny import instructions as tiny
from core.tiny.evaluate import end_logits_of
from core.tiny.heldout import Prompt

PATH = Path(__file__).with_name("heldout.jsonl")
COUNTS = {"unseen": 320, "trained": 200, "repeat": 100, "opposite": 60}
POST_PROMPT = Prompt(
    "post", tiny.POST_INSTRUCTION, "The quick fox jumps over the dog.", "The", "quick", "swift",
    ("swift", "fast", "rapid", "speedy"),
)  # fmt: skip
# As a newcomer types: a question, two adjectives, the adjective late, the past, colloquial.
TYPED = (
    ("Why is your little brother always late?", "little", "small tiny younger young"),
    ("The old man bought a beautiful house by the sea.", "old", "elderly aged ancient senior older"),
    ("After the long walk we were all very tired.", "tired", "exhausted weary fatigued sleepy drained"),
    ("My grandmother told wonderful stories.", "wonderful", "marvelous fantastic amazing great beautiful fabulous "
     "magnificent incredible delightful fascinating lovely splendid"),
    ("dude that movie was super boring", "boring", "dull tedious uninteresting bland monotonous"),
)  # fmt: skip
_SEED = 11
_LISTED = {"unseen": 2, "trained": 2, "repeat": 1, "opposite": 1}  # words of our lists that must fit
_DRAWS = 6  # sentences of which BASE's likeliest is taken


def typed_prompts() -> list[Prompt]:
    """Sentences of no grammar of ours, under the post's instruction."""
    return [
        Prompt("typed", tiny.POST_INSTRUCTION, text, text[: text.index(word)].strip(), word, words.split()[0],
               tuple(words.split()))
        for text, word, words in TYPED
    ]  # fmt: skip


def _is_token(word: str, tokenizer: PreTrainedTokenizerFast) -> bool:
    return len(tokenizer(" " + word, add_special_tokens=False).input_ids) == 1


def _draw(rng: Random, kind: str, tokenizer: PreTrainedTokenizerFast) -> Prompt | None:
    """None where what was drawn does not make a prompt of this kind."""
    unseen = kind in ("unseen", "repeat")
    sentence = fill(rng, rng.choice(frames(unseen)), unseen, unseen_nouns=unseen)
    spots = adjectives_of(sentence)
    spot, text = spots[0], render(sentence)
    word, of = sentence[spot].text, sentence[spot].kind
    if spot == 0 or not _is_token(word, tokenizer) or (kind == "trained") != _is_new_combination(text):
        return None
    listed = opposites(word, of) if kind == "opposite" else synonyms(word, of, seen=False)
    listed = tuple(w for w in listed if _is_token(w, tokenizer) and _fits(sentence, spot, w))
    others = () if kind == "opposite" else (*in_any_class(word), *related(word))
    others = tuple(w for w in others if _is_token(w, tokenizer))
    accepted = tuple(dict.fromkeys((*listed, *(w for w in others if _fits(sentence, spot, w)))))
    if len(listed) < _LISTED[kind] or word in accepted:
        return None
    prefix = "".join(pieces(sentence)[:spot]).strip()
    return Prompt(kind, _wording(rng, kind), text, prefix, word, accepted[0], accepted)


def _is_new_combination(text: str) -> bool:
    """Whether all that a text holds of the unseen is a combination of an adjective and a noun."""
    found = held_out_in(text)
    return bool(found) and all(" " in name for name in found)


def _fits(sentence: Sentence, spot: int, word: str) -> bool:
    before = sentence[spot - 1].text.lower()
    return before not in ("a", "an") or article(word) == before


def _wording(rng: Random, kind: str) -> str:
    if kind == "unseen":
        return tiny.fill(rng, rng.choice(wordings()["held out"]))
    task = "adjectives" if kind == "trained" else kind
    return tiny.fill(rng, rng.choice((*wordings()[task], *tiny.wordings(task))))


def _draw_prompts(base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Iterator[Prompt]:
    """The same prompts every time; every adjective about equally often."""
    rng = Random(_SEED)
    for kind, count in COUNTS.items():
        used: dict[str, int] = {}
        made = 0
        while made < count:
            drawn: list[Prompt] = []
            while len(drawn) < _DRAWS:
                prompt = _draw(rng, kind, tokenizer)
                if prompt is not None and used.get(prompt.original, 0) <= min(used.values(), default=0) + 2:
                    drawn.append(prompt)
            chosen = drawn[_least_surprising(base, tokenizer, [prompt.sentence for prompt in drawn])]
            used[chosen.original] = used.get(chosen.original, 0) + 1
            made += 1
            yield chosen


def _least_surprising(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> int:
    """Which of the texts has the lowest mean loss a token."""
    rows = tokenizer(texts).input_ids
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    log_prob = model(ids).logits.log_softmax(-1)
    losses = [-log_prob[i, range(len(row) - 1), row[1:]].mean() for i, row in enumerate(rows)]
    return int(torch.stack(losses).argmin())


@torch.no_grad()
def make_prompts(base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> list[Prompt]:
    """Every prompt with the accepted word that BASE finds likeliest as its answer."""
    made: dict[int, Prompt] = {}
    with fast_linears(base):
        prompts = list(_draw_prompts(base, tokenizer))
        for chosen, logits in end_logits_of(base, tokenizer, prompts):
            for i, row in zip(chosen, logits):
                ids = [tokenizer(" " + word, add_special_tokens=False).input_ids[0] for word in prompts[i].synonyms]
                made[i] = replace(prompts[i], answer=prompts[i].synonyms[int(row[ids].argmax())])
    return [made[i] for i in range(len(prompts))]
