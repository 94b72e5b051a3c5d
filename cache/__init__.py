"""What is kept: resident models, recorded runs, results, and the one worker that owns models and device. No widgets."""
