"""Recordings of Consul 1.10.7's command line, and how what we print is compared with them.

Compared are: the exit code, always; stdout whole, with volatile parts masked; stderr's first line when it is the
program's own message, and its part before a network's or decoder's reason otherwise. ``{{…}}`` in a recording
stands for texts in our own words.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from pyconsul.version import CONSUL_API_VERSION

FILE = Path(__file__).with_name("cli.json")
RECORDED_VERSION = "1.10.7"

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d{4})")
INDEX_LINE = re.compile(r'((?:Create|Modify)Index"?:? +)\d+')
REVISION = re.compile(r'^Revision .*\n|(?<="Revision": ")[^"]*', re.MULTILINE)
LAMPORT_TIME = re.compile(r'(?<="LTime": )\d+')
GOSSIP_KEY = re.compile(r"^[A-Za-z0-9+/]{43}=$", re.MULTILINE)
PLACEHOLDER = re.compile(r"\{\{[A-Z][^}]*\}\}")
REASON = re.compile(r'^(?P<prefix>.*?(?:Get|Put|Delete|Post) "[^"]*"): ')
DECODER = re.compile(r"^(?P<prefix>Cannot unmarshal data|Failed to compile [a-z ]+regexp): ")


class Recording(msgspec.Struct, frozen=True):
    """One run of Consul's command line."""

    group: str
    name: str
    setup: str
    argv: list[str]
    stdin: str | None
    env: dict[str, str]
    stdout: str
    stderr: str
    exit: int
    notes: str

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


def load() -> list[Recording]:
    return msgspec.convert(json.loads(FILE.read_text("utf-8")), list[Recording])


def difference(recording: Recording, code: int, stdout: str, stderr: str) -> str:
    """What is not as recorded; empty when all is."""
    if code != recording.exit:
        return f"exit code {code}, recorded {recording.exit}; stdout {stdout[:200]!r}; stderr {stderr[:300]!r}"
    expected = mask(recording.stdout.replace(RECORDED_VERSION, CONSUL_API_VERSION))
    if not matches(with_our_name(expected), mask(stdout)):
        return f"stdout {mask(stdout)!r}, recorded {expected!r}"
    wanted, got = _first_line(recording.stderr), _first_line(stderr)
    if TIMESTAMP.match(wanted):
        wanted, got = mask(wanted), mask(got)
    for pattern in (REASON, DECODER):
        found = pattern.match(wanted)
        if found:
            same = pattern.match(got)
            return "" if same and same["prefix"] == found["prefix"] else f"stderr {got!r}, recorded {wanted!r}"
    if not matches(with_our_name(wanted), got):
        return f"stderr {got!r}, recorded {wanted!r}"
    if recording.stderr.startswith("Usage: consul") and not matches(with_our_name(recording.stderr), stderr):
        return f"stderr {stderr!r}, recorded {recording.stderr!r}"
    return ""


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]


def with_our_name(text: str) -> str:
    return text.replace("Usage: consul ", "Usage: pyconsul ")


def mask(text: str) -> str:
    """Ids, times, indexes and made keys become words; the revision, which official builds print too, is left out."""
    text = LAMPORT_TIME.sub("TIME", GOSSIP_KEY.sub("KEY", REVISION.sub("", text)))
    return INDEX_LINE.sub(r"\1INDEX", TIMESTAMP.sub("TIME", UUID.sub("UUID", text)))


def matches(expected: str, got: str) -> bool:
    """Equal, a placeholder standing for any text that is not empty."""
    if PLACEHOLDER.search(expected) is None:
        return expected == got
    parts = [re.escape(part) for part in PLACEHOLDER.split(expected)]
    return re.fullmatch(r"[\s\S]+?".join(parts), got) is not None
