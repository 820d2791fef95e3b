"""The web page and its headers."""
