"""RECOGNIZE: what the instruction does, and which heads carry it, in both models, over a set of prompts."""
