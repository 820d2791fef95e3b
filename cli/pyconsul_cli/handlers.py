"""Commands that ``lock`` and ``watch`` run: by a shell or directly, and what is said about how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from pyconsul.client.oserrors import errno_text
from pyconsul.codec.quote import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from pyconsul_cli.command import Io

_SIGNAL_WORDS = {signal.SIGKILL: "killed", signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}

PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """The program cannot be started; the text is Go's."""


def start(
    words: Sequence[str],
    shell: bool,
    io: Io,
    environ: Mapping[str, str],
    stdin: BinaryIO | int,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """By ``$SHELL -c`` (``/bin/sh``) with the words joined by blanks, or directly. Raises StartError.

    ``before`` runs in the child before the program: what it may do is in ``die_with_us``.
    """
    argv = [environ.get("SHELL") or "/bin/sh", "-c", " ".join(words)] if shell else list(words)
    io.stdout.flush()
    io.stderr.flush()
    try:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=io.stdout, stderr=io.stderr, env=dict(environ), preexec_fn=before
        )
    except FileNotFoundError as error:
        if "/" in argv[0]:
            raise StartError(f"fork/exec {argv[0]}: {errno_text(error)}") from error
        raise StartError(f"exec: {quote(argv[0])}: executable file not found in $PATH") from error
    except OSError as error:
        raise StartError(f"fork/exec {argv[0]}: {errno_text(error)}") from error


def die_with_us() -> Callable[[], None] | None:
    """Makes a child end when this process is killed: a lock must not outlive its holder in the hands of a child.

    On Linux only. Everything is looked up before the fork; in the child there is one system call, so that locks held by
    other threads do no harm.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()
    number = int(signal.SIGKILL)

    def before() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it died before the call

    return before


def ending(code: int) -> str:
    """``exit status 3``, ``signal: killed``; empty for a good end. ``code`` as subprocess tells it."""
    if code == 0:
        return ""
    if code > 0:
        return f"exit status {code}"
    number = signal.Signals(-code)
    return f"signal: {_SIGNAL_WORDS.get(number, signal.strsignal(number) or number.name).lower()}"
