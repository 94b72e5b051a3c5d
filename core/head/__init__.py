"""One head, in both models: what it reads, writes, attends to and carries."""
