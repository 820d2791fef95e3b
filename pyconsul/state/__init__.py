"""Tables, indexes and watches, in memory."""
