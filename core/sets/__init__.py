"""Prompt sets: reading them, running both models over them, and averages with their uncertainty."""
