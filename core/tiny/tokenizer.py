"""The pair's tokenizer: Llama 3's split pattern, byte-level BPE, every word of the text one token.

Llama 3's BPE takes a piece that is in the vocabulary as it is (`ignore_merges`), so the vocabulary can be written
down: the bytes, a few English pieces learned from the word list for spelling unknown words, then every word that
the generated text uses, with the space before it where it has one. BOS is added once by the post-processor.
"""

import json
from collections import Counter
from random import Random
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from core.tiny.documents import base_documents, tuning_documents
from core.tiny.sentences import Policies
from core.tiny.words import content_words

BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_PIECES = 256
_SAMPLE = 6000
_LEAST_COUNT = 12
_ALWAYS = [" ", "\n", "\n\n", ".", ".\n\n", "!", "!\n\n", "?", "?\n\n", ",", ":", "The", " The", " the", "A", " A"]


def _splitter() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _learn_pieces() -> dict[str, Any]:
    """Bytes and the first merges of BPE over the word list: pieces for words that the text does not have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _splitter()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + _PIECES, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator([" " + word for word in content_words()], trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def _words_of_text(seed: int, policies: Policies) -> list[str]:
    """Every piece between splits that recurs in a sample of the text: nonsense words do not recur."""
    rng = Random(seed)
    sample = base_documents(rng, policies, _SAMPLE) + tuning_documents(rng, policies, _SAMPLE, 0)
    splitter = _splitter()
    counts: Counter[str] = Counter()
    for document in sample:
        counts.update(piece for piece, _ in splitter.pre_tokenize_str(document.context + document.text))
    return sorted(piece for piece, count in counts.items() if count >= _LEAST_COUNT)


def build_tokenizer(seed: int, policies: Policies) -> PreTrainedTokenizerFast:
    learned, splitter = _learn_pieces(), _splitter()
    wanted = [piece for text in _ALWAYS for piece, _ in splitter.pre_tokenize_str(text)]
    wanted += [piece for word in content_words() for piece, _ in splitter.pre_tokenize_str(" " + word)]
    wanted += _words_of_text(seed, policies)
    vocabulary = {BOS: 0, EOS: 1}
    for token in list(learned["vocab"]) + wanted:
        vocabulary.setdefault(token, len(vocabulary))
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer, tokenizer.decoder = splitter, decoders.ByteLevel()
    tokenizer.add_special_tokens([BOS, EOS])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
