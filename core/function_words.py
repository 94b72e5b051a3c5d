"""English function words: the closed classes, which carry a sentence's grammar and have no synonyms to be put in.

Determiners, pronouns, prepositions, conjunctions, auxiliaries, particles, question words, adverbs of degree and of
negation, and the contractions of these. Left out is what says something of its own: numbers, and words that are as
often an adjective, a noun or a verb ("little", "same", "like", "past", "well", "need").
"""

from __future__ import annotations

_CLASSES = """
determiners: a an the this that these those my your his her its our their whose some any no every each either neither
  both all half many much more most few fewer less least several such what which another other
pronouns: i me mine myself you yours yourself yourselves he him himself she hers herself it itself we us ours ourselves
  they them theirs themselves one ones oneself someone somebody something anyone anybody anything everyone everybody
  everything nobody nothing none who whom whoever whatever whichever there here
prepositions: about above across after against along among amid around as at before behind below beneath beside besides
  between beyond by despite down during except for from in into of off on onto out
  over per since through throughout till to toward towards under underneath until up upon via with within without
conjunctions: and or but nor so yet if unless because although though while whereas whether than when whenever where
  wherever once that lest
auxiliaries: am is are was were be been being have has had having do does did doing done will would shall should can
  could may might must ought
particles and adverbs: not never ever also too very quite rather just only even still already again almost how why then
  now always often please yes oh
contractions: i'm you're he's she's it's we're they're i've you've we've they've i'd you'd he'd she'd it'd we'd they'd
  i'll you'll he'll she'll it'll we'll they'll isn't aren't wasn't weren't hasn't haven't hadn't don't doesn't didn't
  won't wouldn't shan't shouldn't can't cannot couldn't mayn't mightn't mustn't needn't that's there's here's what's
  who's where's how's let's
"""
FUNCTION_WORDS = frozenset(word for line in _CLASSES.split("\n") for word in line.split(":")[-1].split())


def is_function_word(word: str) -> bool:
    """Whatever its case, the spaces around it and the apostrophe it is written with."""
    return word.strip().casefold().replace("’", "'") in FUNCTION_WORDS
