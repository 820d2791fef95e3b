"""Name answers."""
