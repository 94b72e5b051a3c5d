"""The steps' titles, and what each is about, for who has read nothing of it yet."""

TITLES = {
    "prompt": "The task, and one number",
    "layers": "Where the number is written",
    "heads": "A head that holds the word back",
    "outputs": "One head carried across",
    "colon": "What these heads look at",
    "values": "Values against outputs",
    "where": "Where in depth they look differently",
    "origin": "Changed here, or only carried?",
    "all": "Everything, row by row",
}

ABOUT = {
    "prompt": """BASE has read much text; INSTRUCT is the same model after fine-tuning on instructions. Both read the
prompt above, and we look at the one word that comes next. The **logit difference** says which they lean to: above 0
to the replacement, below 0 to repeating the original word. The post asks where inside INSTRUCT it is made.""",
    "layers": """A model adds up what its layers write, one after another; the next word is read off the sum. So the
logit difference splits exactly into shares: one of every layer's **attention**, which moves information between
words, and one of every layer's **MLP**, which works on each word alone.""",
    "heads": """A layer's attention is many **heads**, each with a share of its own. The post's main find is one that
looks from the last word back to the original and writes *against* repeating it, **copy suppression**, more so in
INSTRUCT; and another beside it that looks there too and writes for it. Each cell is a head.""",
    "outputs": """Shares say who writes, not who matters. So: let BASE read the prompt, but take one head's **output**
from INSTRUCT. How much of the gap between the two models does BASE then make up? Once for every head: **activation
patching**. The post names six.""",
    "colon": """Of the heads that carry the difference, the post looks up how much of their **attention** goes from the
last word to the first “:”, where the instruction ends. It differs between the models, and the post leaves open why.""",
    "values": """A head's output is made of *where* it looks and of the **values** that it finds there. The post patches
the values alone and finds one group that moves more by its values than by its outputs. But four heads share one value
vector there: that sets four heads against one. **Like with like** compares one head with itself.""",
    "where": """Averaged over a layer's heads: how differently do the models attend from the last word to “:”, and to
the original word? In the post the first differs in layers 10–15, the second in 13–20.""",
    "origin": """One question the post's patches cannot answer: was a head that carries the difference *changed* by
fine-tuning, or does it only pass on what was changed before it? Give BASE that head's own weights from INSTRUCT, and
nothing else. What its output moves and its weights do not was **changed elsewhere**.""",
    "all": """Every number of the post that these models have a counterpart to.""",
}

# The page on which a step's figure can be looked at closely: its folder, and what the link says.
CLOSER = {
    "prompt": ("explore", "Explore"),
    "layers": ("attribution", "Attribution"),
    "heads": ("attribution", "Attribution"),
    "outputs": ("patching", "Patching"),
    "colon": ("attention", "Attention"),
    "values": ("patching", "Patching"),
    "where": ("attention", "Attention"),
    "origin": ("origin", "Origin"),
}
