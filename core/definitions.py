"""The exact definition of each number, shown one click away from its figure."""

LOGIT_DIFF = """
**Logit difference** = logit[answer] − logit[original] at END, the last position of the prompt, where the next token is
predicted. Above 0 the model prefers the replacement, below 0 it repeats the original word. Final norm, unembedding and
subtraction are done in float32 whatever the models' dtype; where a model caps its logits, the difference is taken
before the cap and the capped one is named beside it.

**Gap** = logit difference of INSTRUCT − logit difference of BASE. Probabilities and ranks (1 = most likely) are over
the whole vocabulary.
"""

ROLES = """
**bos** the token that begins every text, where there is one · **first** position 0, where heads that rest put their
attention, BOS or not · **original** the last token of the word in the sentence · **colon** the first token with “:”, or
the second if so chosen; what a chat template writes is not counted · **end** the last token, where the next one is
predicted · **picked** the token that you clicked.

Candidates are tokenized in context: the ids of prompt + candidate minus those of the prompt. Each must be one token.
"""

TOP_TOKENS = """
The ten most likely next tokens at END, with their probability under the model's own softmax over the whole vocabulary.
Two that read alike are told apart by the space before them, ␣.
"""

CONTINUATION = """
Greedy decoding from the same prompt: at each step the most likely token. It ends at the model's end token, under a chat
template at the end of the turn too, or after a fixed number of tokens. It illustrates; no other figure uses it.
"""

ATTRIBUTION = """
**Direct logit attribution.** With x the final residual at END, s = 1/rms(x), w the final norm's weight and
d = w ⊙ (W_U[answer] − W_U[original]), a component that was added to the residual stream as c contributes s · c·d
logits. All components sum to the logit difference. For a head, c = z W_O; where a model norms its attention output
before adding it, c passes that norm's recorded scale and weight.

It is the **direct** path only: what a component does by changing later layers' inputs is not in it.

Between models three things differ: the component, the scale s, and the vector d. Both scales are shown, and
“Project on” reads both models along one model's d.
"""

DEPTH = """
**Logit lens.** The residual stream at END is read as if it were the last: through the model's own final norm, with that
point's own scale, and the unembedding, in float32 and before a soft cap. Points: before each layer, and between its
attention and its MLP where they follow one another; at the right end stands the run's own logit difference.

Nothing is fitted: an early point may be written in directions that only later layers turn into logits. A crossing of 0
says where the answer overtakes the original as the unembedding reads it, not which layer decides it.
"""

NEURONS = """
Neuron n of the MLP with activation a writes s · a · (W_out[n]·d) logits directly, s and d as in direct logit
attribution; with the bias of W_out a layer's neurons sum to its MLP's share, which is checked. **Promotes**,
**suppresses**: the tokens that INSTRUCT's W_out[n] raises and lowers most by the direct path, for an activation above
0; below 0 they change places.

**Effect**: the donor's activation of that neuron put into the recipient at all positions, its own W_out writing it out;
effect, score and noise floor as on the Patching page. Sets take the first neurons of this table at once; the share is
that of all neurons of the layer, and can pass 100% where others work against it.
"""

CHECKS = """
Identities that the numbers must hold, with the largest residual found on this prompt: all components sum to the logit
difference, and the heads of a layer (with the attention bias, where there is one) sum to its attention output.
The logit lens ends at the run's logit difference, and its two logits differ by the lens's difference at every point.
Green: within rounding of the models' dtype.
"""

HEAD_CHECKS = """
What each source token writes sums to the head's direct logit attribution; and attention times the OV circuit's logit
difference is what a token writes. Each with the largest residual found on this prompt; green: within rounding of the
models' dtype.
"""

PATCHING = """
**Cross-model activation patching.** The recipient runs the prompt; one activation is replaced by the donor's on the
same tokens. **Effect** = logit difference of the patched recipient − that of the recipient, in logits. **Score** =
effect / (donor − recipient): 0 = no change, 1 = the whole gap moved. INSTRUCT → BASE asks what is sufficient to bring
the rephrasing with it, BASE → INSTRUCT what is necessary; one is not the negative of the other.

With a gap under 0.5 logits, or a negative one, a share of it would mislead: only effects are shown.

The **noise floor** is what rounding alone moves: the recipient's own activation is patched into it, each number × (1 +
ulp·{−1, 0, +1}) with seeded signs, ulp being the step of the models' dtype, in 8 runs for each third of the depth; the
floor is the 95th percentile of their |effect|, plus what patching the unchanged activation back moves: nothing where
that repeats the same rounding, but patches at the last token run from there on alone and may round otherwise. Early
patches pass more layers and so have a higher floor. What lies within it is grey: in bfloat16 that can be a tenth of a
logit, in float32 it is a few millionths. For models in half precision the table's cells can be run once more in
float32, on a second copy of both models.

Dots mark a first-order **estimate** (attribution patching): (donor − recipient activation) · gradient of the
recipient's logit difference. Exact scores replace it, deepest layers first.
"""

SITES = """
**output** (z): what one query head has gathered, written out by the recipient's W_O · **value** (v), **key** (k): one
KV group, shared by several query heads where queries are grouped · **query** (q), **pattern**: one query head ·
**value only**: the donor's values under the recipient's pattern, one query head; **pattern only**: the donor's pattern
over the recipient's values · **result**: the head's output through the *donor's* W_O, another number than z ·
**attention out**, **MLP out**, **residual before / between**: a whole layer.

**Weights**: the recipient runs with the donor's weights in one component, its own stream coming in, at all positions;
W_K and W_V of a group move all its query heads, those within “changed weights of one head” that head alone; a layer's
attention and MLP come with their norms. What output, value only and pattern only do not see of a changed W_O, these do.
"""

CONTROLS = """
Of the effect of a patch of z, in logits or as a share of the gap: **direct** = s·(c_donor − c_recipient)·d, what the
changed output of the component alone adds at END (c = z W_O, the recipient's W_O), with s = 1/rms(x) of the recipient's
final residual **frozen**; and the same with **s recomputed** from the residual as it then is. Where a model norms its
attention output before adding it, that norm's scale is frozen or recomputed too. **Total** = the patch itself, at all
positions unless others are chosen; **indirect** = total − direct: what later components make of it, at END and before,
and the scales. **Self-repair** is named where more than half of a direct effect beyond the noise floor is taken back.

**Norm-matched null.** The same patch with z_recipient + a random vector whose norm at each position is that of
z_donor − z_recipient, in 8 seeded draws. A score within their range is not the content's: any change of that size does
as much. Outside is no proof: of draws that are all alike, one in 4.5 lies outside the range of 8 others. The **noise
floor** is what rounding alone moves, as on Patching.
"""

FROZEN = """
**Frozen patterns.** In the patched run every attention pattern behind the patch is held at what the recipient's own run
has, in every head of every later layer. What is then left of an effect is carried by values alone; what is gone went by
heads that look elsewhere because of the patch. A pattern that the patch itself decides (q, k, pattern, and in a set any
of these) runs. The no-op and the noise floor are measured in the same way.
"""

SCATTER = """
Left, as in the post: the value patch of a KV group, drawn at each of its query heads, against the output patch of the
single head. Where several query heads share a value vector this sets a patch of several heads against one of one head.
Right, like with like: both patches change one query head only; value only = the recipient's pattern over the donor's
values. Lines join the heads of a group; on the dotted line both patches do the same.
"""

GROUPS = """
For each KV group: its value patch, which moves all its query heads at once (and equals the joint value-only patch of
them; that one is shown where END or one token is patched), beside the single heads' value-only scores and their plain
sum; likewise the joint output patch. Where the joint score is not the sum, the heads interact.
"""

PAIRS = """
**Interaction** = S(a, b) − S(a) − S(b), S the score (or effect) of patching those heads' outputs together. A score
above 0: they do more together than apart; below 0: they overlap. Grey: no larger than the noise floors of its three
runs, added in quadrature. Effects of a patch that moves the recipient down (the donor's logit difference being the
lower one) read the other way round.
"""

GREEDY = """
At each step the head is added with which the patched set comes closest to the donor (least |1 − score|), by exact
scores; in models of more than 256 heads, of the 256 that move it furthest alone. It ends when no head brings it closer
by more than the noise floor. The curve is what the first k heads together move; a greedy choice need not be the best
set of its size.
"""

CARD = """
For a set S of heads (or KV groups), patched at once: **sufficiency** F(S) = score INSTRUCT → BASE; **necessity** N(S) =
score BASE → INSTRUCT. **all but S**, **all**: F of every other one of every layer, and of every one.
**Completeness** = 1 − F(all but S) / F(all), the share of what all move that is lost without the set: of everything 1,
of nothing 0. **What a member adds** (minimality): F(S) − F(S without it). **Random sets**: as many members in each
layer, drawn from the others there, seeded. **changed**: F of the donor's weights in the same members; **carried** =
F(S) − changed.

**Recovery**: F of the first members together, ordered by their single scores, greedily (each next the one that brings
the set nearest to the donor) and at random. **Area** = the mean height of a curve over the share of members patched,
by trapezoids; a set whose first member does everything has 1 − 1/(2n).

Two members that back each other up are each dispensable, and others may do the same outside the set: read the numbers
together. Effect, score and noise floor as in the map; grey: within the noise of both runs.
"""

POSITION_MAP = """
One whole layer's activation is replaced at one single position. It shows where in the prompt, and how deep, the
difference between the models sits on its way to END.
"""

AGREEMENT = """
Each point is a cell that has run: its first-order estimate against its exact effect. Spearman's rank correlation says
whether the estimate ranks the cells as the exact patch does; it says nothing of their size. Said of the cells with the
largest exact effects, in either direction: how many of them are among as many of the largest estimates, and
Σ |estimate| / Σ |exact|. Large effects may be estimated two or three times too small or too large.
"""

ORIGIN = """
**Own changed weights**: the recipient runs with the donor's weights in one component (W_Q, W_K, W_V and W_O of one
query head, the keys and values of its group new for that head alone), everything else its own, its own stream coming
in. **Output**: the donor's activation in the same place (z). What the output moves and the weights do not was changed
elsewhere: a head whose weights move less than a third of what its output moves **mostly carries**.

**Carried**: the activation that the recipient's own weights make of the donor's stream. Interaction = output −
changed − carried: what neither does alone. A z patch is written out by the recipient's own W_O; where W_O was changed,
only the weights know of it.

Score, effect and noise floor as on Patching.
"""

EARLY_LATE = """
**Early × late.** At every boundary one model's first layers, with its embedding, run below the other's remaining
layers, with its unembedding (a patch of resid_pre over all positions is exactly that). BB and II are the plain runs of
BASE and INSTRUCT, IB has INSTRUCT early and BASE late, BI the reverse. **Below the boundary from INSTRUCT**: the share
of the gap that IB has; **from the boundary on**: that of BI. **Early** = ((IB − BB) + (II − BI)) / 2, **late** =
((BI − BB) + (II − IB)) / 2, in logits; early + late = gap. **Interaction** = II − IB − BI + BB: above 0, INSTRUCT's
late layers do more behind INSTRUCT's early ones.
"""

BLOCK = """
The smallest run of whole layers (attention, MLP and their norms) whose weights, taken from the donor, move at least 90%
of the gap. Sizes are halved and every run of layers of a size is tried; that a longer one does no less is assumed of
the sizes between.
"""

WEIGHT_NORMS = """
**‖ΔW‖ / ‖W‖** = ‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖, Frobenius norms over all matrices of a component: W_Q, W_O of a query
head with its group's W_K and W_V; those of all heads of a layer; all of an MLP. Against it what these changed weights
move, taken alone. A large change may do nothing on this prompt, a small one much.
"""

ATTENTION = """
**A(src→END)**: the attention weight of a head from END, the last position, to a source token, after the softmax; over
all sources it sums to 1. The maps show BASE, INSTRUCT and INSTRUCT − BASE for every head.

A weight is not yet information. **Value-weighted**: A·‖v W_O‖, the length of what END receives from the source.
**Written along the difference**: A·(v W_O)·d·s in logits, what it adds to the logit difference directly; over all
sources it sums to the head's direct logit attribution. Much attention on the first token, BOS or not, often means that
a head rests.
"""

ATTENTION_LAYERS = """
The mean over a layer's heads of |A_INSTRUCT − A_BASE|. Named are the three layers that differ most, and the shortest
run of layers that holds half of the whole difference.
"""

PATTERN = """
The whole pattern: every position (row) attends to itself and those before it; a row sums to 1. Read from the recorded
run. INSTRUCT − BASE: green where INSTRUCT attends more, purple where BASE does.
"""

HEAD_PATCHES = """
One activation of the donor put into the recipient at all positions. **Output**: the donor's pattern over the donor's
values; **value only**: the recipient's pattern over the donor's values; **pattern only**: the donor's pattern over the
recipient's values; all three are written out by the recipient's W_O and are blind to a change of it; **result**: the
output through the donor's W_O. Below, the same for all query heads that read the same values, and that value vector
itself: it moves all of them at once and equals their joint value-only patch. Score, effect and noise floor as on the
Patching page; the patches of the head alone have one floor, those of the group another, each from 8 jittered runs of
this layer.
"""

OV = """
If END attended to the source token with weight 1, the head would write v W_O into its residual stream; the tables are
its logits by the direct path, the vocabulary's mean removed. It reads either the value recorded at that position (with
the context gathered there), or one made of the token alone: its embedding, or its embedding and the first MLP.

**Rank** 1 = the most promoted of the whole vocabulary. A token within the first 1% counts as copied, within the last 1%
as suppressed.
"""

PATHS = """
**Path patching**, sender → receiver's queries, keys or values. The sender's change, donor − recipient, enters this one
input of the receiving head and nothing else; everything between the two is held at the recipient's, so the input is
W·norm(x + Δ), with x the recipient's stream before the layer. What comes behind the receiver runs. Effect, score and
noise floor as on Patching; all positions.

Δ of a **head**: its z in the donor − that in the recipient, written out by the *recipient's* W_O, as in an output patch
(where attention's output passes a norm, through its recorded scale). Δ of an **MLP**, of a layer's **attention** as a
whole (in the table) and of the **embedding**: what it adds to the stream in the donor − in the recipient, by whichever
weights. Embedding, attentions and MLPs together are the whole difference of the two streams; their effects need not add
up, since a norm and a softmax stand between.

Keys and values are shared by a KV group: **this head alone** leaves the group's other heads as they are, **its KV
group** moves them all. Queries are always the head's own.
"""

WEIGHTS = """
Relative change of a weight matrix by fine-tuning, Frobenius norm: ‖W_INSTRUCT − W_BASE‖ / ‖W_BASE‖. Query heads that
share a KV group share its W_K and W_V.
"""

SCORES = """
On random tokens that are repeated once, mean attention: **previous token** to the position before; **induction** from
the second copy to the token after the first one's same token; **BOS** (**first token** in models without one) to
position 0. 1 = all of the attention. They say what kind of head it is apart from this prompt.
"""

POST = """
The post's numbers are those that Karthik Viswanathan states for Llama-3.1-8B (BASE) and its Instruct fine-tune,
averaged over prompts of one structure: shown for comparison, nothing is computed from them. On that pair a head is the
same head, by name; elsewhere it is the one of the same rank: the head that writes most of INSTRUCT's logit difference,
the heads whose outputs move BASE furthest, in their order. A row **agrees** (✓) where it says the same of direction:
the sign, the way an attention weight moves between the models, the place along the depth give or take a tenth of it. In
brackets: the 95% interval over the set. A(:), A(original): what a head attends to that token from END. Each number's
own definition stands on its own page.
"""
