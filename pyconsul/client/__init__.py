"""A small asyncio client of the HTTP API."""
