"""The site matrix: pure data, the lowest layer."""
