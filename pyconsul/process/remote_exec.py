"""Remote execution: runs the jobs that ``pyconsul exec`` puts into the key-value store, when the operator allows it.

A job is announced by the event ``_rexec`` with the prefix and the session as JSON. Below ``PREFIX/SESSION/`` the key
``job`` says what to run; this node answers with ``NODE/ack``, ``NODE/out/00000``, … and ``NODE/exit``, each held by the
session, so that everything goes away with it. Whoever may write keys and fire events runs commands as the agent's user:
that is why ``disable_remote_exec`` is true by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from pyconsul.codec.user_event import EVENT_PREFIX
from pyconsul.errors import PyconsulError
from pyconsul.fsm.commands import AnyCommand, KVLock
from pyconsul.log import pairs

EVENT_NAME = EVENT_PREFIX + "_rexec"
SHELL = "/bin/sh"

JOBS_MAX = 16
"""At the same time; further ones are refused in the log."""
OUTPUT_PIECE_BYTES = 4096
OUTPUT_PAUSE_SECONDS = 0.5
"""Output is written to the store at this size or this age."""
SPEC_TRIES_MAX = 10
SPEC_PAUSE_SECONDS = 0.2
"""The event may be faster than the replication of the job."""
HEARTBEAT_SECONDS = 1.0
NOT_STARTED_CODE = 127


class Announcement(msgspec.Struct):
    """The event's payload."""

    Prefix: str
    Session: str


class Job(msgspec.Struct):
    """``Wait`` in nanoseconds: how long the caller waits for a word of any node."""

    Command: str = ""
    Args: list[str] | None = None
    Script: str | None = None
    Wait: int = 0


class _SessionGone(Exception):
    """Nobody wants to know any more."""


class RemoteExec:
    """``read_key`` gives the value of a key or None; ``write`` replicates a command. Both raise PyconsulError."""

    def __init__(
        self,
        node: str,
        read_key: Callable[[str], Awaitable[bytes | None]],
        write: Callable[[AnyCommand], Awaitable[object]],
        logger: logging.Logger,
    ) -> None:
        self._node = node
        self._read_key = read_key
        self._write = write
        self._logger = logger
        self._running = 0

    async def run(self, payload: bytes) -> None:
        """Does what an event asks for, to its end. Errors are logged."""
        try:
            asked = msgspec.json.decode(payload, type=Announcement)
        except msgspec.MsgspecError as error:
            self._logger.error("failed to decode remote exec event", extra=pairs(error=error))
            return
        if self._running >= JOBS_MAX:
            self._logger.error("remote exec refused: too many at once", extra=pairs(session=asked.Session))
            return
        self._running += 1
        try:
            await self._run(asked)
        except _SessionGone:
            self._logger.info("remote exec ended early: its session is gone", extra=pairs(session=asked.Session))
        except PyconsulError as error:
            self._logger.error("remote exec failed", extra=pairs(session=asked.Session, error=error))
        finally:
            self._running -= 1

    async def _run(self, asked: Announcement) -> None:
        folder = f"{asked.Prefix}/{asked.Session}"
        job = await self._job(f"{folder}/job")
        if job is None:
            return
        answer = _Answer(self._write, f"{folder}/{self._node}", asked.Session)
        await answer.put("ack", b"")
        self._logger.info("remote exec starts", extra=pairs(session=asked.Session))
        code = await self._execute(job, answer)
        await answer.put("exit", str(code).encode())

    async def _job(self, key: str) -> Job | None:
        for _ in range(SPEC_TRIES_MAX):
            value = await self._read_key(key)
            if value is not None:
                try:
                    return msgspec.json.decode(value, type=Job)
                except msgspec.MsgspecError as error:
                    self._logger.error("failed to decode remote exec job", extra=pairs(key=key, error=error))
                    return None
            await asyncio.sleep(SPEC_PAUSE_SECONDS)
        self._logger.error("remote exec job is not there", extra=pairs(key=key))
        return None

    async def _execute(self, job: Job, answer: _Answer) -> int:
        with tempfile.TemporaryDirectory(prefix="pyconsul-exec-") as folder:
            try:
                words = _words(job, Path(folder))
                process = await asyncio.create_subprocess_exec(
                    *words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                await answer.output(f"failed to start: {error}".encode())
                return NOT_STARTED_CODE
            try:
                assert process.stdout is not None
                await _pass_on(process.stdout, answer)
                return await process.wait()
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()


class _Answer:
    """What this node says about one job."""

    def __init__(self, write: Callable[[AnyCommand], Awaitable[object]], folder: str, session: str) -> None:
        self._write = write
        self._folder = folder
        self._session = session
        self._pieces = 0

    async def put(self, name: str, value: bytes) -> None:
        command = KVLock(f"{self._folder}/{name}".encode(), value, 0, self._session)
        if await self._write(command) is not True:
            raise _SessionGone

    async def output(self, piece: bytes) -> None:
        """An empty piece says that the command still runs."""
        number, self._pieces = self._pieces, self._pieces + 1
        await self.put(f"out/{number:05x}", piece)


async def _pass_on(stream: asyncio.StreamReader, answer: _Answer) -> None:
    """Until the end of the output, in pieces."""
    piece, ended = b"", False
    reading = asyncio.ensure_future(stream.read(OUTPUT_PIECE_BYTES))
    try:
        while not ended:
            pause_s = OUTPUT_PAUSE_SECONDS if piece else HEARTBEAT_SECONDS
            await asyncio.wait([reading], timeout=pause_s)
            quiet = not reading.done()
            if not quiet:
                data = reading.result()
                piece += data
                ended = not data
                if not ended:
                    reading = asyncio.ensure_future(stream.read(OUTPUT_PIECE_BYTES))
            if piece and (quiet or ended or len(piece) >= OUTPUT_PIECE_BYTES):
                await answer.output(piece)
                piece = b""
            elif quiet:
                await answer.output(b"")
    finally:
        reading.cancel()


def _words(job: Job, folder: Path) -> list[str]:
    """Raises OSError, ValueError."""
    if job.Script is not None:
        path = folder / "script"
        path.write_bytes(b64decode(job.Script, validate=True))
        path.chmod(0o700)
        return [SHELL, str(path)]
    if job.Args:
        return job.Args
    return [SHELL, "-c", job.Command]
