"""One log record as a line: Consul's text form or JSON.

Pairs come with the record: ``logger.info("Join completed", extra={"pairs": {"count": 1}})``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime

TRACE = 5
logging.addLevelName(TRACE, "TRACE")

LEVELS = {
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERR": logging.ERROR,
    "ERROR": logging.ERROR,
}
"""By name, in the order of Consul's messages."""

_BLANKS = " \t\r\n"
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_traceback = logging.Formatter().formatException


def parse_level(text: str) -> int | None:
    """The level of a name, any case; None if there is none."""
    return LEVELS.get(text.upper())


def level_name(level: int) -> str:
    """TRACE, DEBUG, INFO, WARN or ERROR."""
    if level >= logging.ERROR:
        return "ERROR"
    if level >= logging.WARNING:
        return "WARN"
    if level >= logging.INFO:
        return "INFO"
    return "DEBUG" if level >= logging.DEBUG else "TRACE"


def text_line(record: logging.LogRecord) -> str:
    """``2026-11-23T09:27:17.289Z [INFO]  agent: Started DNS server: address=127.0.0.51:8600 network=udp``."""
    when = datetime.fromtimestamp(record.created).astimezone()
    zone = when.strftime("%z")
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}{'Z' if zone == '+0000' else zone}"
    level = f"[{level_name(record.levelno)}]"
    pairs = "".join(f" {name}={_shown(value)}" for name, value in _pairs(record).items())
    line = f"{stamp} {level:<7} {record.name}: {record.getMessage()}{':' if pairs else ''}{pairs}"
    return f"{line}\n{_traceback(record.exc_info)}" if record.exc_info and record.exc_info[0] else line


def json_line(record: logging.LogRecord) -> str:
    """One JSON object with sorted keys; pairs stand beside ``@level``, ``@message``, ``@module``, ``@timestamp``."""
    when = datetime.fromtimestamp(record.created).astimezone()
    zone = when.strftime("%z")
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    fields: dict[str, object] = {name: _plain(value) for name, value in _pairs(record).items()}
    fields |= {
        "@level": level_name(record.levelno).lower(),
        "@message": record.getMessage(),
        "@module": record.name,
        "@timestamp": f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}{zone}",
    }
    if record.exc_info and record.exc_info[0]:
        fields["stacktrace"] = _traceback(record.exc_info)
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":")).translate(_HTML)


def _pairs(record: logging.LogRecord) -> Mapping[str, object]:
    pairs = getattr(record, "pairs", None)
    return pairs if isinstance(pairs, Mapping) else {}


def _shown(value: object) -> str:
    """As Consul shows it: in quotes if it has blanks, nothing escaped."""
    if value is None:
        text = "<nil>"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, list | tuple):
        text = "[" + " ".join(str(item) for item in value) + "]"
    else:
        text = str(value)
    return f'"{text}"' if any(blank in text for blank in _BLANKS) else text


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
