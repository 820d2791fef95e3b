"""Log lines with pairs.

``logger.info("snapshot complete", extra=pairs(index=7))`` shows ``snapshot complete: index=7``.

How a line looks is decided in agent/log_lines.py; whoever logs only says what belongs to it.
"""

from __future__ import annotations


def pairs(**values: object) -> dict[str, object]:
    """For the ``extra`` of a logging call. Exceptions are shown by their text."""
    return {"pairs": {name: str(value) if isinstance(value, Exception) else value for name, value in values.items()}}
