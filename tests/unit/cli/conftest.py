"""Fixtures for command lines run in this process; lets the tests here import their helper."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pyconsul_cli.command import Io
from pyconsul_cli.main import main

sys.path.insert(0, str(Path(__file__).parent))

from canned_agent import CannedAgent, Run


@pytest.fixture
def run() -> Run:
    def run_line(*argv: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            code = main(list(argv), Io(given, out, err), {"PATH": "/usr/bin:/bin", **(environ or {})})
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "backslashreplace"))
        return code, texts[0], texts[1]

    return run_line


@pytest.fixture
def agent() -> Iterator[CannedAgent]:
    canned = CannedAgent()
    yield canned
    canned.close()
