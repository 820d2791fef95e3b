"""Writes the member snapshot behind the event loop's back: lines gather for a moment, then a thread appends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pyconsul.errors import StorageError
from pyconsul.gossip.context import Record
from pyconsul.storage.member_snapshot import MemberSnapshotFile

RECORDS_MAX = 10_000  # a disk that hangs must not fill the memory; the oldest lines matter least


class RecordWriter:
    """``failed`` is told the text of an error; lines that could not be written are lost, which costs a hint only."""

    def __init__(self, file: MemberSnapshotFile, interval: float, failed: Callable[[str], None]) -> None:
        self._file = file
        self._interval = interval
        self._failed = failed
        self._records: list[Record] = []
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def add(self, record: Record) -> None:
        if record.rewrite:
            self._records.clear()  # the new content says all that these would have said
        self._records.append(record)
        if len(self._records) > RECORDS_MAX:
            self._records.pop(0)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_later())

    async def _write_later(self) -> None:
        await asyncio.sleep(self._interval)
        # Shielded: who wants everything written at once cancels the waiting, not a write under way.
        await asyncio.shield(self._write())

    async def _write(self) -> None:
        async with self._lock:
            records, self._records = self._records, []
            if records:
                try:
                    await asyncio.to_thread(self._write_now, records)
                except StorageError as error:
                    self._failed(str(error))

    def _write_now(self, records: list[Record]) -> None:
        lines: list[str] = []
        for record in records:
            if record.rewrite:
                self._file.rewrite(record.lines)
            else:
                lines.extend(record.lines)
        if lines:
            self._file.append(lines, sync=any(record.sync for record in records))

    async def flush(self) -> None:
        """Everything added so far is written when this returns."""
        if self._task is not None and not self._task.done() and self._records:
            self._task.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    async def close(self) -> None:
        await self.flush()
        await asyncio.to_thread(self._file.close)
