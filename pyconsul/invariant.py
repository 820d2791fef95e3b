"""The check that stays on in production (``assert`` vanishes under ``python -O``)."""

from __future__ import annotations

from pyconsul.errors import InvariantError


def invariant(condition: object, text: str, **values: object) -> None:
    """Raises InvariantError with the text and the named values unless the condition holds."""
    if not condition:
        shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise InvariantError(f"{text} ({shown})" if shown else text)
