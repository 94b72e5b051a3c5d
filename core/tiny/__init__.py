"""The embedded pair: a small BASE model and its fine-tuned INSTRUCT, with the script that makes them.

`python -m core.tiny` writes the text, builds the tokenizer, trains BASE, fine-tunes INSTRUCT, measures both
and writes `MODEL_CARD.md`. Everything follows from one seed. The pair is what newcomers, tests and offline
talks run on, so it must show the phenomenon of interest: BASE repeats the original adjective where
INSTRUCT, told to rephrase, writes a synonym.
"""
