"""Carries out script checks: a program of the operator, whose exit code is the status.

They run only where ``enable_script_checks`` or ``enable_local_script_checks`` says so. A program gets the agent's
rights, environment and working directory, no input, and a process group of its own, which is killed as a whole when its
time is over. HTTP reference, "Checks of the agent".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from pyconsul.codec.duration import SECOND, format_duration
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING

SCRIPT_TIMEOUT_SECONDS = 30.0
"""Where none is configured."""

_STATUSES = {0: PASSING, 1: WARNING}


async def run_script(words: Sequence[str], timeout_s: float, output_bytes_max: int) -> tuple[str, str]:
    """Status and output of one run. Never raises for what the program does."""
    reading, writing = os.pipe()
    output = _Output(output_bytes_max)
    # A pipe of our own: a program that leaves the group may keep it open for ever, we do not.
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: output, os.fdopen(reading, "rb", 0))
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=writing, stderr=writing, start_new_session=True
            )
        except (OSError, ValueError) as error:  # ValueError: a zero byte in a word
            why = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
            return CRITICAL, f"fork/exec {words[0]}: {why}"
        finally:
            os.close(writing)
        return await _result(process, output, timeout_s)
    finally:
        transport.close()


async def _result(process: asyncio.subprocess.Process, output: _Output, timeout_s: float) -> tuple[str, str]:
    """Waits for the end of the program and of its output, which children of it may hold."""
    over = False
    try:
        async with asyncio.timeout(timeout_s):
            code = await process.wait()
            await output.ended.wait()
        over = True
    except TimeoutError:
        return CRITICAL, f"Timed out ({format_duration(int(timeout_s * SECOND))}) running check"
    finally:
        if not over:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _STATUSES.get(code, CRITICAL), output.text()


class _Output(asyncio.Protocol):
    """Keeps the last bytes of what a program writes."""

    def __init__(self, bytes_max: int) -> None:
        self.ended = asyncio.Event()
        self._bytes_max = bytes_max
        self._kept = b""
        self._count = 0

    def data_received(self, data: bytes) -> None:
        self._count += len(data)
        self._kept = (self._kept + data)[-self._bytes_max :]

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()

    def text(self) -> str:
        text = self._kept.decode("utf-8", "replace")
        if self._count <= self._bytes_max:
            return text
        return f"Captured {len(self._kept)} of {self._count} bytes\n...\n{text}"
