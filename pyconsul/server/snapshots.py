"""Taking, sending and receiving snapshots without holding up the event loop or the log.

A snapshot is taken from immutable records at one index; encoding happens in small pieces between other work, writing in
a thread of its own. Receiving stores chunk after chunk and restores into a new store, which then replaces the old one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyconsul.clock import Clock
from pyconsul.errors import DecodeError, DiskFullError, PyconsulError, StorageError
from pyconsul.fsm.apply import StateMachine
from pyconsul.log import pairs
from pyconsul.raft.messages import ChunkRequest, SnapshotChunk, SnapshotMeta
from pyconsul.state.store import Store
from pyconsul.storage.raft_storage import RaftStorage

if TYPE_CHECKING:
    from pyconsul.server.raft_loop import RaftLoop

CHUNK_BYTES = 256 * 1024
"""Size of a chunk on the network: small beside what a heartbeat may wait."""

KEYS_PER_ENTRY = 6
"""A snapshot of so many keys is worth it for each entry that it saves replaying: writing the state costs time and disk
by its size, so a large state is written more rarely, and the cost of a write stays the same however many keys exist.
Not fewer: an entry takes some 300 bytes of memory until then, and the log shall not add more than 30 % to a state."""

HOLD_SECONDS = 30.0
"""So long after the last request for it a snapshot, and the log after it, is kept for its receiver."""


class SnapshotWork:
    """Bound to one RaftLoop by ``attach``. ``on_failure`` is told when the disk failed for good."""

    def __init__(
        self,
        storage: RaftStorage,
        logger: logging.Logger,
        on_failure: Callable[[Exception], None],
        threshold: int,
        interval_seconds: float,
        clock: Clock,
    ) -> None:
        self.installing = False
        self.threshold = threshold
        self.interval_seconds = interval_seconds
        self._storage = storage
        self._logger = logger
        self._on_failure = on_failure
        self._clock = clock
        self._sending: dict[str, tuple[int, float]] = {}  # receiver -> index, and when it last asked
        self._raft: RaftLoop | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._taking: asyncio.Task[None] | None = None
        self._installing_task: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[None]] = set()
        self._last_taken = 0.0
        newest = storage.recovered.snapshot
        self.last_index = newest.index if newest is not None else 0
        self.last_term = newest.term if newest is not None else 0

    def attach(self, raft: RaftLoop) -> None:
        self._raft = raft

    @property
    def raft(self) -> RaftLoop:
        if self._raft is None:
            raise StorageError("snapshots are used before the log is")
        return self._raft

    # Taking

    def tick(self, now: float) -> None:
        """Starts a snapshot when enough was applied since the last (``is_due``)."""
        if self._taking is not None or self.installing:
            return
        since = self.raft.core.applied_index - self.last_index
        rested = now - self._last_taken >= self.interval_seconds
        if is_due(since, len(self.raft.machine.store.kv), self.threshold, rested):
            self._last_taken = now
            self._taking = asyncio.get_running_loop().create_task(self._take())

    async def _take(self) -> None:
        try:
            await self._write_snapshot()
        except DiskFullError as error:
            self._logger.error("failed to take snapshot, disk is full", extra=pairs(error=error))
        except StorageError as error:
            self._on_failure(error)
        finally:
            self._taking = None

    async def _write_snapshot(self) -> None:
        raft = self.raft
        meta = raft.core.snapshot_meta(raft.core.applied_index)
        self._logger.info("starting snapshot up to", extra=pairs(index=meta.index))
        chunks = raft.machine.snapshot()
        loop = asyncio.get_running_loop()
        writer = await loop.run_in_executor(self._executor, self._storage.snapshots.create, meta)
        try:
            for group in _grouped(chunks, CHUNK_BYTES):
                await loop.run_in_executor(self._executor, writer.write, group)
            await loop.run_in_executor(self._executor, writer.commit)
        except BaseException:
            await loop.run_in_executor(self._executor, writer.abort)
            raise
        self._saved(meta)
        self._logger.info("snapshot complete up to", extra=pairs(index=meta.index))

    def _saved(self, meta: SnapshotMeta) -> None:
        raft = self.raft
        self.last_index, self.last_term = meta.index, meta.term
        up_to = raft.core.snapshot_saved(meta)
        held = self._hold()
        if held is not None:
            # Who gets that snapshot goes on with the log after it.
            up_to = min(up_to, held)
        if up_to >= raft.core.first_index:
            raft.core.compact(up_to)
            storage = self._storage
            raft.run_on_disk(lambda: storage.compact(up_to))
        raft.wake()

    # Sending

    def send_chunk(self, request: ChunkRequest) -> None:
        task = asyncio.get_running_loop().create_task(self._send_chunk(request))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _send_chunk(self, request: ChunkRequest) -> None:
        raft = self.raft
        loop = asyncio.get_running_loop()
        snapshots = self._storage.snapshots
        # A newer snapshot does not end the transfer of an older one: under steady writes no transfer would end.
        found = snapshots.info(request.index)
        offset = request.offset
        if found is None:
            found, offset = snapshots.newest(), 0
        if found is None:
            self._logger.error("a follower needs a snapshot and there is none", extra=pairs(peer=request.to))
            return
        meta, size, _ = found
        self._sending[request.to] = (meta.index, self._clock.monotonic())
        self._hold()
        try:
            data = await loop.run_in_executor(self._executor, snapshots.read, meta.index, offset, CHUNK_BYTES)
        except PyconsulError as error:
            self._logger.error("failed to read snapshot", extra=pairs(index=meta.index, error=error))
            return
        if raft.core.role != "leader" or raft.core.term != request.term:
            return
        done = offset + len(data) >= size
        raft.send(SnapshotChunk(raft.core.id, request.to, request.term, meta, offset, data, size, done))

    def _hold(self) -> int | None:
        """Keeps the snapshots that are being sent; returns the index of the oldest. Those whose receiver has not asked
        for a while are let go: it has all, or is gone."""
        oldest_request = self._clock.monotonic() - HOLD_SECONDS
        self._sending = {to: (index, at) for to, (index, at) in self._sending.items() if at >= oldest_request}
        indexes = {index for index, _ in self._sending.values()}
        self._storage.snapshots.hold(indexes)
        return min(indexes, default=None)

    # Receiving

    def receive(self, chunk: SnapshotChunk) -> None:
        """Stores a chunk, before anything that is saved from now on; after the last one restores.

        The core counts on every chunk that it hands out: what cannot be stored must be said to have failed.
        """
        loop = asyncio.get_running_loop()
        snapshots = self._storage.snapshots

        def store() -> None:
            end = chunk.offset + len(chunk.data)
            try:
                fits = snapshots.receive(chunk.meta, chunk.offset, chunk.data) == end
            except DiskFullError:
                loop.call_soon_threadsafe(self._disk_full, chunk.meta)
                return
            loop.call_soon_threadsafe(self._stored, chunk, fits)

        self.raft.run_on_disk(store)

    def _disk_full(self, meta: SnapshotMeta) -> None:
        self._logger.error("no space left on device: cannot store the leader's snapshot")
        self._failed(meta)

    def _failed(self, meta: SnapshotMeta) -> None:
        """It is fetched from its beginning again."""
        self.raft.core.snapshot_failed(meta)
        self.raft.wake()

    def _stored(self, chunk: SnapshotChunk, fits: bool) -> None:
        if not fits:
            # An earlier part was given up meanwhile.
            self._failed(chunk.meta)
        elif chunk.done and not self.installing:
            self.installing = True
            self._installing_task = asyncio.get_running_loop().create_task(self._install(chunk))

    async def _install(self, chunk: SnapshotChunk) -> None:
        raft = self.raft
        meta = chunk.meta
        loop = asyncio.get_running_loop()
        try:
            self._logger.info("Installing remote snapshot", extra=pairs(index=meta.index))
            await raft.on_disk(lambda: self._storage.snapshots.finish(meta))
            machine = await loop.run_in_executor(self._executor, restore_newest, self._storage, self._logger)
        except DiskFullError:
            self._disk_full(meta)
            return
        except DecodeError as error:
            self._logger.error("failed to install snapshot", extra=pairs(index=meta.index, error=error))
            self._failed(meta)
            return
        except PyconsulError as error:
            self._on_failure(error)
            return
        finally:
            self.installing = False
        old = raft.machine
        self.last_index, self.last_term = meta.index, meta.term
        raft.core.snapshot_installed(meta)
        raft.snapshot_restored(machine)
        old.store.watches.fire_all()
        self._logger.info("Installed remote snapshot", extra=pairs(index=meta.index))
        if self._taking is not None:  # it is of the old state
            await asyncio.gather(self._taking, return_exceptions=True)
        for _ in old.dismantle():
            await asyncio.sleep(0)

    async def stop(self) -> None:
        for task in (self._taking, self._installing_task, *self._reading):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._executor.shutdown(wait=False)


def is_due(since: int, keys: int, threshold: int, rested: bool) -> bool:
    """Whether to take a snapshot ``since`` entries after the last one, with so many ``keys``; ``rested``: the interval
    since the last one is over.

    The threshold (or a sixth of the keys, if that is more) after the interval; four times the threshold (or a third of
    the keys) at any time, else a busy log would grow without bound between intervals.
    """
    wanted = max(threshold, keys // KEYS_PER_ENTRY)
    most = max(4 * threshold, 2 * keys // KEYS_PER_ENTRY)
    return since >= most or (rested and since >= wanted)


def restore_newest(storage: RaftStorage, logger: logging.Logger) -> StateMachine:
    """A state machine with the contents of the newest snapshot on disk (an empty one when there is none).

    Raises CorruptionError. Takes seconds at a million keys: run it in a thread.
    """
    machine = StateMachine(Store())
    newest = storage.snapshots.newest()
    if newest is not None:
        meta, size, _ = newest
        logger.info("restoring snapshot", extra=pairs(index=meta.index, bytes=size))
        machine.restore(storage.snapshots.state(meta.index))
        logger.info("restored snapshot", extra=pairs(index=meta.index))
    return machine


def _grouped(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Fewer, larger writes."""
    group: list[bytes] = []
    total = 0
    for chunk in chunks:
        group.append(chunk)
        total += len(chunk)
        if total >= size:
            yield b"".join(group)
            group, total = [], 0
    if group:
        yield b"".join(group)
