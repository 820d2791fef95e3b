"""One module per command, or per few that belong together; each has ``COMMANDS`` by name."""
