"""The text that the real pair's adapter is trained on and judged by; no weights needed."""

import re
from random import Random

import pytest

from core.smollm2.documents import Document, Piece, instruction_document, replaced
from core.smollm2.heldout import COUNTS, PATH, typed_prompts
from core.smollm2.sentences import Word, adjectives_of, fill, frames, render, respell
from core.smollm2.words import groups, held_out_in, nouns, opposites, synonyms, unseen_words, wordings
from core.tiny.heldout import read_prompts

DOCUMENTS = [instruction_document(Random(seed)) for seed in range(600)]
PROMPTS = read_prompts(PATH)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))


def test_no_training_text_holds_a_word_a_noun_or_a_wording_that_judges():
    kept = unseen_words() | {form for noun in nouns() if noun.unseen for form in (noun.singular, noun.plural)}
    starts = {wording.split("{s}")[0] for wording in wordings()["held out"]}
    for document in DOCUMENTS:
        assert not words_of(document.text) & kept
        assert not any(document.instruction.startswith(start) for start in starts)
        assert not {other.strip().lower() for piece in document.learned for other in piece.fitting} & unseen_words()


def test_prompts_of_unseen_words_are_made_of_what_no_training_text_holds():
    unseen = [prompt for prompt in PROMPTS if prompt.kind == "unseen"]
    patterns = [re.escape(wording).replace(r"\{s\}", ".+") for wording in wordings()["held out"]]
    nouns_of = {form for noun in nouns() if noun.unseen for form in (noun.singular, noun.plural)}
    assert len(unseen) >= 300 and len({prompt.original for prompt in unseen}) >= 100
    for prompt in unseen:
        assert prompt.original in unseen_words()
        assert words_of(prompt.sentence) & nouns_of
        assert any(re.fullmatch(pattern, prompt.instruction) for pattern in patterns)


def test_prompts_of_trained_words_join_an_adjective_and_a_noun_that_training_never_joins():
    trained = [prompt for prompt in PROMPTS if prompt.kind == "trained"]
    assert len(trained) == COUNTS["trained"]
    for prompt in trained:
        assert prompt.original not in unseen_words()
        assert any(" " in found for found in held_out_in(prompt.sentence))


@pytest.mark.parametrize("prompt", [*PROMPTS[::40], *typed_prompts()], ids=lambda prompt: prompt.sentence)
def test_a_prompt_ends_before_the_original_word_which_is_no_accepted_one(prompt):
    assert prompt.sentence.lower().startswith(f"{prompt.prefix} {prompt.original}".lower())
    assert prompt.answer in prompt.synonyms and prompt.original not in prompt.synonyms


def test_the_posts_combination_is_never_trained():
    assert held_out_in("The quick fox jumps over the dog.") == ["quick fox"]
    assert held_out_in("A fox that is very quick") == ["quick fox"]
    assert held_out_in("An intelligent dog") == ["intelligent"]
    assert held_out_in("The dog ran.") == []


def test_replacements_fit_the_article_before_them_and_keep_all_else():
    sentence = respell((Word("a"), Word("happy", "P"), Word("king"), Word("slept"), Word(".")), {})
    options = {"happy": ("elated", "glad", "cheerful")}
    for seed in range(20):
        pieces = replaced(Random(seed), sentence, lambda word, kind: options.get(word, ()))
        text = "".join(piece.text for piece in pieces)
        assert text in (" An elated king slept.", " A glad king slept.", " A cheerful king slept.")
        fitting = (" elated",) if "elated" in text else (" glad", " cheerful")
        assert pieces[1] == Piece(pieces[1].text, fitting)


def test_what_is_right_at_a_replaced_word_are_synonyms_or_opposites_of_the_sentences_word():
    asked = [d for d in DOCUMENTS if d.instruction.lower().startswith("rephrase all the adjectives") and not d.given]
    assert asked
    for document in asked:
        given = document.sentence.split()
        written = "".join(piece.text for piece in document.learned).split()
        assert len(given) == len(written)
        changed = [(a, b) for a, b in zip(given, written) if a.strip(".,!?").lower() != b.strip(".,!?").lower()]
        changed = [pair for pair in changed if {word.lower() for word in pair} != {"a", "an"}]
        assert changed
        for word, other in changed:
            word, other = (text.strip(".,!?").lower() for text in (word, other))
            assert any(word in group.words and other in group.words for group in groups())


def test_opposites_are_not_synonyms():
    for kind, word in (("P", "happy"), ("L", "hot"), ("O", "soft")):
        assert opposites(word, kind) and not set(opposites(word, kind)) & set(synonyms(word, kind))


def test_documents_are_drawn_anew_from_the_same_seed():
    assert instruction_document(Random("0 7")) == instruction_document(Random("0 7"))


def test_begun_outputs_repeat_the_sentences_own_words():
    begun = [document for document in DOCUMENTS if document.given]
    assert begun
    assert all(document.sentence.startswith(document.given.strip()) for document in begun)


@pytest.mark.parametrize("frame", [*frames(), *frames(unseen=True)])
def test_every_frame_is_a_sentence_with_an_adjective(frame):
    sentence = fill(Random(frame), frame)
    assert adjectives_of(sentence) and render(sentence)[0].isupper() and render(sentence)[-1] in ".?!"


def test_text_of_a_document_is_what_its_parts_spell():
    document = Document("Repeat", "A dog.", "Answer:", " A", (Piece(" dog"), Piece(".")))
    assert document.text == "Repeat: A dog.\n\nAnswer: A dog."
