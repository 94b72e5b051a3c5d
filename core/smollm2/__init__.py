"""The real pair: SmolLM2-135M-Instruct as published, and the same model with an adapter that rephrases.

`python -m core.smollm2` writes the text, trains the adapter, measures both models and writes `MODEL_CARD.md`.
Everything follows from one seed. BASE repeats the original adjective where INSTRUCT, told to rephrase, writes a
synonym: in English at large, in thirty layers, on a laptop's CPU.
"""
