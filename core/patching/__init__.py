"""Cross-model activation patching: what is planned, the one growing pass that runs it, and what its rows say."""
