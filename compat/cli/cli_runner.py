"""Runs a command line in this process: streams are files, so that children of a command write to them too."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence

from pyconsul_cli.command import Io
from pyconsul_cli.main import main


def run_line(argv: Sequence[str], stdin: str | None, environ: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr; bytes that are not UTF-8 are shown as ``\\xNN``."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile("a+b") as out, tempfile.TemporaryFile("a+b") as err:
        given.write((stdin or "").encode("utf-8", "surrogateescape"))
        given.seek(0)
        variables = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", ""), **environ}
        code = main(argv, Io(given, out, err), variables)
        texts = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "backslashreplace"))
    return code, texts[0], texts[1]
