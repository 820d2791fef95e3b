"""A small synchronous client of the HTTP API, made to start fast: see docs/decisions/0008-command-line-client.md."""
