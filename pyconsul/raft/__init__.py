"""The consensus core, without IO, clock or randomness of its own."""
