"""Errors of the operating system in Go's words: ``open x: no such file or directory``."""

from __future__ import annotations

import os


def errno_text(error: OSError) -> str:
    """The reason alone: strerror's text with a small first letter, as Go keeps them."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]


def go_error(operation: str, path: str, error: OSError) -> str:
    return f"{operation} {path}: {errno_text(error)}"
