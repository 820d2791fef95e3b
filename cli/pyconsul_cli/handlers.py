"""Commands that ``lock`` and ``watch`` run: by a shell or directly, and what is said about how they end."""

from __future__ import annotations

import signal
import subprocess

from pyconsul.client.oserrors import errno_text
from pyconsul.codec.go_numbers import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from pyconsul_cli.command import Io

_SIGNAL_WORDS = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}


class StartError(Exception):
    """The program cannot be started; the text is Go's."""


def start(
    words: Sequence[str], shell: bool, io: Io, environ: Mapping[str, str], stdin: BinaryIO | int
) -> subprocess.Popen[bytes]:
    """By ``$SHELL -c`` (``/bin/sh``) with the words joined by blanks, or directly. Raises StartError."""
    argv = [environ.get("SHELL") or "/bin/sh", "-c", " ".join(words)] if shell else list(words)
    io.stdout.flush()
    io.stderr.flush()
    try:
        return subprocess.Popen(argv, stdin=stdin, stdout=io.stdout, stderr=io.stderr, env=dict(environ))
    except FileNotFoundError as error:
        if "/" in argv[0]:
            raise StartError(f"fork/exec {argv[0]}: {errno_text(error)}") from error
        raise StartError(f"exec: {quote(argv[0])}: executable file not found in $PATH") from error
    except OSError as error:
        raise StartError(f"fork/exec {argv[0]}: {errno_text(error)}") from error


def ending(code: int) -> str:
    """``exit status 3``, ``signal: killed``; empty for a good end. ``code`` as subprocess tells it."""
    if code == 0:
        return ""
    if code > 0:
        return f"exit status {code}"
    number = signal.Signals(-code)
    return f"signal: {_SIGNAL_WORDS.get(number, signal.strsignal(number) or number.name).lower()}"
