"""The exact definition of each number over a set of prompts, shown one click away from its figure."""

SET = """
**A prompt set** is a table of prompts: instruction, sentence, the original word and accepted replacements. Rows that a
pair cannot run (candidates of several tokens, for example) are left out, and listed with their reasons. Of several
accepted replacements the first that is one token is taken.

**Mean** over the prompts with its **95% interval**: a bootstrap over prompts, widened for the size of the sample. Where
the interval holds 0, the sign of the mean is open. Prompts count alike, whatever their structure.
"""

SAMPLE = "How many prompts of the set: taken at even distances, so that every structure is there"

SET_MAPS = """
The mean of each head over the prompts of the set, for BASE, for INSTRUCT, and of their difference prompt by prompt.
**Pale** cells have a 95% interval (a bootstrap over prompts) that holds 0: nothing is known of their sign. The numbers
themselves are defined on the pages Attribution and Attention.
"""

SET_PATCHES = """
Every place is patched in every prompt, as on Patching. **Share** = mean effect / mean gap, both over the same prompts:
single gaps near 0 cannot spoil it. Its interval draws prompts with replacement. **q**: how likely such a mean is by
chance (signs of whole prompts flipped at random), corrected for the number of places after Benjamini and Hochberg.
**Same sign**: in how many prompts the effect has the mean's sign. **In first 8**: in how many of the bootstrap's draws
the place is among the eight largest.
"""

RECOGNIZE = """
The same sentences and candidates under several instructions, in both models. **Scrambled**: the own instruction's words
in another order, the same one each time. **No instruction**: the text from the sentence on; the begun answer still says
“Rephrased sentence:”.

**What the own instruction adds** = logit difference under it − under the other one, prompt by prompt. **Difference in
differences** = (INSTRUCT: own − other) − (BASE: own − other): how much more INSTRUCT lets the instruction decide. Means
over the prompts that have both, with 95% bootstrap intervals.
"""

COUNTER = """
**Cross-prompt patch**: one model, two prompts of equal length whose tokens differ only inside the instruction. The run
under the counter-instruction is the recipient, that under the own one the donor; the output (z) of one head is taken at
all positions. Effects count towards the own instruction; **share** = mean effect / mean gap between the two runs.

Counter-instructions are wordings of other tasks, some led in by words that ask for nothing (“Now please …”): of those
that have as many tokens as the own one in this tokenizer, the one with most of its tokens at the same places.
**Replacement**: the same heads' outputs INSTRUCT → BASE on the own prompt. A head far to the right and
low carries what is asked, one far up and left what is written. Grey: both intervals hold 0.
"""
