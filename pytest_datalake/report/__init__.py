"""From ``results.jsonl`` to everything people and machines read; works without pytest from a saved file."""
