"""The exact definition of each number, shown one click away from its figure."""

LOGIT_DIFF = """
**Logit difference** = logit[answer] − logit[original] at END, the last position of the prompt, where the next token is
predicted. Above 0 the model prefers the replacement, below 0 it repeats the original word. Final norm, unembedding and
subtraction are done in float32 whatever the models' dtype; where a model caps its logits, the difference is taken
before the cap and the capped one is named beside it.

**Gap** = logit difference of INSTRUCT − logit difference of BASE. Probabilities and ranks (0 = most likely) are over
the whole vocabulary.
"""

ROLES = """
**bos** the token that begins every text · **original** the last token of the word in the sentence · **colon** the first
token with “:”, or the second if so chosen · **end** the last token, where the next one is predicted · **picked** the
token that you clicked.

Candidates are tokenized in context: the ids of prompt + candidate minus those of the prompt. Each must be one token.
"""

TOP_TOKENS = """
The ten most likely next tokens at END, with their probability under the model's own softmax over the whole vocabulary.
A leading space is shown as ␣.
"""

CONTINUATION = """
Greedy decoding from the same prompt: at each step the most likely token. It ends at the model's end token or after a
fixed number of tokens. It illustrates; no other figure uses it.
"""

ATTRIBUTION = """
**Direct logit attribution.** With x the final residual at END, s = 1/rms(x), w the final norm's weight and
d = w ⊙ (W_U[answer] − W_U[original]), a component that was added to the residual stream as c contributes s · c·d
logits. All components sum to the logit difference. For a head, c = z W_O; where a model norms its attention output
before adding it, c passes that norm's recorded scale and weight.

It is the **direct** path only: what a component does by changing later layers' inputs is not in it.

Between models three things differ: the component, the scale s, and the direction d. Both scales are shown, and
“Project on” reads both models along one model's d.
"""

CHECKS = """
Identities that the numbers must hold, with the largest residual found on this prompt: all components sum to the logit
difference, and the heads of a layer (with the attention bias, where there is one) sum to its attention output.
Green: within rounding of the models' dtype.
"""
