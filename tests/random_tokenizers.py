"""Small tokenizers of the two kinds that the prompt rules are checked on, trained on a few lines in the moment.

byte_level: a byte-level BPE that splits as Llama-3 does; a word's token holds the space before it.
prefix_space: a SentencePiece-like BPE as in Llama-2: a "▁" is put before the text, so " big" alone is two tokens.
"""

from __future__ import annotations

import json

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ("<pad>", "<s>", "</s>")
KINDS = ("byte_level", "prefix_space")
VOCAB = 768
LINES = (
    "Rephrase all the adjectives of the following sentence: The quick fox jumps over the dog.\n\n",
    "Rephrased sentence: The swift fox jumps over the dog.\n\n",
    "Rephrased sentence: A big dog and a large dog, a small cat and a little cat.\n\n",
    "The fast fox ran quickly; the old bird sings: The ancient bird sings.\n\n",
)
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(adds_bos: bool = True) -> transformers.PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(LINES, _trainer(VOCAB, initial_alphabet=alphabet))
    return _wrapped(tokenizer, adds_bos)


def prefix_space(adds_bos: bool = True) -> transformers.PreTrainedTokenizerFast:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(LINES, _trainer(VOCAB - 256))
    learned = json.loads(trained.to_str())["model"]
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in sorted(learned["vocab"], key=learned["vocab"].get) if piece not in SPECIAL]
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return _wrapped(tokenizer, adds_bos)


def build(kind: str, adds_bos: bool = True) -> transformers.PreTrainedTokenizerFast:
    return {"byte_level": byte_level, "prefix_space": prefix_space}[kind](adds_bos)


def _trainer(size: int, **options) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False, **options)


def _wrapped(tokenizer: Tokenizer, adds_bos: bool) -> transformers.PreTrainedTokenizerFast:
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
