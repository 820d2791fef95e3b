"""Commands and their deterministic application to the state."""
