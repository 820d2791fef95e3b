"""One server of the core's simulator: the core, a driver around it, and its disk, over all its lives."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from raft_disk import Disk, Machine
from world import Violation

from pyconsul.raft.config import RaftConfig
from pyconsul.raft.core import Raft, Role
from pyconsul.raft.messages import AnyMessage, ChunkRequest, Ready, SnapshotChunk

if TYPE_CHECKING:
    from raft_cluster import Cluster

TICK = 10.0
CHUNK = 16
SNAPSHOT_EVERY = 12


class Crash(BaseException):
    """The simulated process dies here."""


class Node:
    """One server: the core, a driver around it, and its disk. ``jobs`` wait for the disk, in order."""

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        self.cluster = cluster
        self.id = node_id
        self.disk = Disk()
        self.core: Raft | None = None
        self.machine = Machine()
        self.jobs: list[Callable[[], None]] = []
        self.syncing = 0
        self.life = 0
        self.paused_at: float | None = None
        self.mail: list[AnyMessage] = []
        self.received = bytearray()
        self.snapshotting = False
        self.rate = 1.0

    @property
    def up(self) -> bool:
        return self.core is not None

    def start(self) -> None:
        cluster = self.cluster
        self.life += 1
        meta, data = self.disk.snapshot or (None, b"")
        machine = Machine.load(data) if meta else Machine()
        assert machine is not None
        self.machine = machine
        self.jobs = []
        self.syncing = 0
        self.mail = []
        self.received = bytearray()
        self.snapshotting = False
        self.paused_at = None
        self.rate = cluster.random.uniform(0.95, 1.05)
        config = RaftConfig(
            id=self.id, max_entries_per_append=cluster.batch, max_bytes_per_append=64, max_inflight=3,
            trailing_entries=5, max_committed_entries=7, chunk_timeout_ticks=8,
        )  # fmt: skip
        seed = cluster.random.getrandbits(32)
        self.core = Raft(config, random.Random(seed), self.disk.hard_state, self.disk.recovered(), meta)
        if not self.core.last_index and self.id in cluster.founders:
            self.core.bootstrap(cluster.first)
        cluster.judge.check_memory(self)
        cluster.log(self, "starts", term=self.core.term, last=self.core.last_index, commit=self.core.commit_index)
        self._schedule_tick()
        cluster.pump(self)

    def crash(self) -> None:
        cluster = self.cluster
        # Syncs under way may have reached the disk all the same; in order, and unknown to anybody.
        survivors = cluster.random.randint(0, len(self.jobs)) if cluster.chance(0.5) else 0
        jobs, self.jobs = self.jobs, []
        self.core = None
        self.life += 1
        for job in jobs[:survivors]:
            job()
        cluster.log(self, "crashes", unsynced=len(jobs), survived=survivors)

    def _schedule_tick(self) -> None:
        self.cluster.after(TICK * self.rate, self._tick, self)

    def _tick(self) -> None:
        if self.paused_at is None:
            assert self.core is not None
            self.core.tick()
            self._schedule_tick()

    # ---- the disk: one sync covers all jobs that waited when it began

    def enqueue(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)
        if not self.syncing:
            self._begin_sync()

    def _begin_sync(self) -> None:
        self.syncing = len(self.jobs)
        self.cluster.after(self.cluster.disk_delay(), self._end_sync, self)

    def _end_sync(self) -> None:
        done, self.jobs = self.jobs[: self.syncing], self.jobs[self.syncing :]
        for job in done:
            job()
        self.syncing = 0
        if self.jobs:
            self._begin_sync()

    # ---- the driver

    def handle(self, ready: Ready) -> None:
        cluster = self.cluster
        core = self.core
        assert core is not None
        life = self.life
        cluster.judge.check_ready(self, ready)
        for message in ready.messages:
            cluster.send(message)
            cluster.maybe_crash(self)
        last = ready.entries[-1] if ready.entries else None
        previous = core.log.term(ready.entries[0].index - 1) or 0 if ready.entries else 0

        def stored() -> None:
            cluster.judge.check_entries(previous, ready.entries)
            self.disk.save(ready.hard_state, ready.entries)
            if self.life == life:
                for message in ready.messages_after_sync:
                    cluster.send(message)
                if last is not None:
                    core.persisted(last.index, last.term)

        if ready.hard_state is not None or ready.entries or ready.messages_after_sync:
            self.enqueue(stored)
        if ready.snapshot_chunk is not None:
            self._receive(ready.snapshot_chunk)
        for request in ready.chunk_requests:
            self._send_chunk(request)
        cluster.maybe_crash(self)
        for entry in ready.committed:
            self.machine.apply(entry)
            cluster.judge.check_applied(self, entry)
        if ready.committed:
            core.applied(ready.committed[-1].index)
            self._maybe_snapshot()
        for state in ready.read_states:
            cluster.judge.check_read(self, state.context, state.index)

    def _maybe_snapshot(self) -> None:
        core = self.core
        assert core is not None
        newest = self.disk.snapshot[0].index if self.disk.snapshot else 0
        if self.snapshotting or core.applied_index - newest < SNAPSHOT_EVERY:
            return
        self.snapshotting = True
        meta, data, life = core.snapshot_meta(core.applied_index), self.machine.dump(), self.life

        def stored() -> None:
            if self.disk.snapshot is None or meta.index > self.disk.snapshot[0].index:
                self.disk.snapshot = (meta, data)
            if self.life == life:
                index = core.snapshot_saved(meta)
                core.compact(index)
                self.disk.compact(index)
                self.snapshotting = False

        self.enqueue(stored)

    def _send_chunk(self, request: ChunkRequest) -> None:
        snapshot = self.disk.snapshot
        assert snapshot is not None
        meta, data = snapshot
        offset = request.offset if request.index == meta.index else 0
        part = data[offset : offset + CHUNK]
        done = offset + len(part) == len(data)
        self.cluster.send(SnapshotChunk(self.id, request.to, request.term, meta, offset, part, len(data), done))

    def _receive(self, chunk: SnapshotChunk) -> None:
        core, life = self.core, self.life
        assert core is not None

        def stored() -> None:
            if self.life != life:
                return
            if chunk.offset == 0:
                self.received = bytearray()
            if chunk.offset != len(self.received):
                raise Violation(f"{self.id} got a chunk at {chunk.offset} after {len(self.received)} bytes")
            self.received += chunk.data
            if not chunk.done:
                return
            data = bytes(self.received)
            machine = Machine.load(data)
            if machine is None or self.cluster.chance(0.1):
                core.snapshot_failed(chunk.meta)
                return
            if machine.index != chunk.meta.index:
                raise Violation("the snapshot is not of the index it says")
            self.disk.snapshot = (chunk.meta, data)
            self.machine = machine
            self.cluster.judge.check_digest(self)
            kept = core.snapshot_installed(chunk.meta)
            if not kept:
                self.disk.entries = []
            self.cluster.judge.count(self.cluster.judge.operations, "snapshot installed")
            self.cluster.log(self, "installs a snapshot", index=chunk.meta.index, kept=kept)

        self.enqueue(stored)

    def resume(self) -> None:
        """The driver notices how long it stood still before it does anything else."""
        if self.paused_at is None or self.core is None:
            return
        missed = int((self.cluster.now - self.paused_at) / TICK) + 1
        self.paused_at = None
        if self.core.role is Role.LEADER:
            self.core.stood_still(missed)
        self.core.tick()
        self._schedule_tick()
        mail, self.mail = self.mail, []
        self.cluster.pump(self)
        for message in mail:
            if self.core is not None:
                self.core.step(message)
                self.cluster.pump(self)
