"""The one thread that writes the log, so that the event loop never waits for the disk.

Whatever is queued while one sync runs is saved together by the next (group commit).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from pyconsul.errors import DiskFullError, StorageError
from pyconsul.raft.messages import Entry, HardState


class LogStorage(Protocol):
    """What the thread needs of storage/."""

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None: ...


class Batch:
    """What one Ready wants on disk, and what to do then (on the event loop)."""

    __slots__ = ("done", "entries", "hard_state")

    def __init__(self, hard_state: HardState | None, entries: list[Entry], done: Callable[[], None]) -> None:
        self.hard_state = hard_state
        self.entries = entries
        self.done = done


def merge(batches: Sequence[Batch]) -> tuple[HardState | None, list[Entry]]:
    """One save for several: the last hard state, and the entries with overwritten suffixes left out."""
    hard_state: HardState | None = None
    entries: list[Entry] = []
    for batch in batches:
        if batch.hard_state is not None:
            hard_state = batch.hard_state
        if batch.entries:
            if entries and batch.entries[0].index <= entries[-1].index:
                first = batch.entries[0].index
                if first < entries[0].index:
                    entries = []
                else:
                    del entries[first - entries[0].index :]
            entries = entries + batch.entries if entries else list(batch.entries)
    return hard_state, entries


class DiskWriter:
    """Saves batches in order; also runs other jobs on the storage in the same thread, between saves.

    ``on_failure(error)`` is called on the event loop once when the disk failed for good; nothing is reported as done
    after that. ``on_full(full)`` tells of a full disk and its end; the batch in question is tried again and again, and
    what comes after it waits.
    """

    def __init__(
        self,
        storage: LogStorage,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[Exception], None],
        on_full: Callable[[bool], None],
        full_retry_seconds: float = 0.5,
    ) -> None:
        self._storage = storage
        self._loop = loop
        self._on_failure = on_failure
        self._on_full = on_full
        self._full_retry_seconds = full_retry_seconds
        self._queue: queue.SimpleQueue[Batch | Callable[[], None] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._full = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="disk-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def save(self, batch: Batch) -> None:
        self._queue.put(batch)

    def run(self, job: Callable[[], None]) -> None:
        """Runs ``job`` in the thread. It must report back by itself; a StorageError from it is a failure for good."""
        self._queue.put(job)

    async def stop(self) -> None:
        """Saves what is queued, then ends the thread. Returns when it has ended, or after 5 s of a disk that hangs."""
        self._stopping.set()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join, 5.0)

    def work(self, queued: list[Batch | Callable[[], None] | None]) -> float | None:
        """Does what is queued, in order, and takes it out of the list; everything between two jobs is one save.

        Returns None when all is done, or, while the disk is full, the seconds after which to try again.
        Raises StorageError, or whatever a job raises: then nothing is known of the disk any more.
        """
        while queued and not self._ended:
            batches: list[Batch] = []
            for item in queued:
                if not isinstance(item, Batch):
                    break
                batches.append(item)
            if batches:
                if not self._save(batches):
                    return self._full_retry_seconds
                del queued[: len(batches)]
                continue
            job = queued.pop(0)
            if callable(job):
                job()
            else:
                self._ended = True
        return None

    def _run(self) -> None:
        queued: list[Batch | Callable[[], None] | None] = []
        while not self._ended:
            queued.append(self._queue.get())
            try:
                while True:
                    queued.append(self._queue.get_nowait())
            except queue.Empty:
                pass
            try:
                pause = self.work(queued)
                while pause is not None:
                    if self._stopping.wait(pause):
                        raise StorageError("stopped while the disk was full")
                    pause = self.work(queued)
            except Exception as error:
                # Reported, not swallowed: the process ends, since nothing is known of the disk any more.
                self._call(self._on_failure, error)
                return

    def _save(self, batches: list[Batch]) -> bool:
        """False: the disk is full and nothing has changed."""
        hard_state, entries = merge(batches)
        if hard_state is not None or entries:
            try:
                self._storage.save(hard_state, entries)
            except DiskFullError:
                if not self._full:
                    self._full = True
                    self._call(self._on_full, True)
                return False
        if self._full:
            self._full = False
            self._call(self._on_full, False)
        dones = [batch.done for batch in batches]
        self._call(_call_all, dones)
        return True

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is closed: the process is ending and nobody waits for the answer.
            self._stopping.set()


def _call_all(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        function()
