"""What can be asked about an experiment: one function a question, run in the worker's thread."""
