"""How results are laid out: columns, tabs, JSON, log lines. Widths are counted in bytes, as Consul does."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Cells trimmed, every column but the last padded to its widest cell, joined by two blanks."""
    table = [[cell.strip() for cell in row] for row in rows]
    widths = [0] * max((len(row) for row in table), default=0)
    for row in table:
        for at, cell in enumerate(row):
            widths[at] = max(widths[at], _width(cell))
    lines = []
    for row in table:
        cells = [_pad(cell, widths[at]) for at, cell in enumerate(row[:-1])]
        lines.append("  ".join([*cells, *row[-1:]]))
    return "\n".join(lines)


def tabs(rows: Sequence[Sequence[str]], padding: int = 6) -> str:
    """All cells but the last are as wide as the widest of their column plus ``padding``; the last is left as it is."""
    widths = [0] * max((len(row) - 1 for row in rows), default=0)
    for row in rows:
        for at, cell in enumerate(row[:-1]):
            widths[at] = max(widths[at], _width(cell))
    return "\n".join(
        "".join([*(_pad(cell, widths[at] + padding) for at, cell in enumerate(row[:-1])), row[-1]]) for row in rows
    )


def _width(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


GOOD = ("alive", "passing", "leader", "true")
BAD = ("failed", "critical")
DIM = ("left", "leaving")
_BOLD, _GREEN, _RED, _FAINT, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def painted(table: str) -> str:
    """A table of ``columns`` for a terminal: the header bold, words that tell good from bad in their colours."""
    header, *lines = table.split("\n")
    return "\n".join([f"{_BOLD}{header}{_PLAIN}", *(_painted_line(line) for line in lines)])


def _painted_line(line: str) -> str:
    cells = line.split("  ")
    for at, cell in enumerate(cells):
        word = cell.strip()
        colour = _GREEN if word in GOOD else _RED if word in BAD else _FAINT if word in DIM else ""
        if colour:
            cells[at] = cell.replace(word, f"{colour}{word}{_PLAIN}")
    return "  ".join(cells)


def to_json(value: object, indent: int | str | None = 4) -> str:
    """JSON as Go writes it: ``& < >`` escaped, keys in the order given; compact without ``indent``."""
    import json

    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, indent=indent, ensure_ascii=False, separators=separators)
    for char in "&<>\u2028\u2029":
        # None of them can stand outside of strings in JSON.
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def log_line(level: str, text: str) -> str:
    """``2026-11-23T10:19:54.307Z [WARN]  text``."""
    from time import localtime, strftime, time

    now = time()
    local = localtime(now)
    zone = strftime("%z", local)
    stamp = f"{strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(now * 1000) % 1000:03d}{'Z' if zone == '+0000' else zone}"
    return f"{stamp} {f'[{level}]':<7} {text}"
