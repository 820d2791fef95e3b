"""The writer thread: batches in order, group commit, a full disk, a failed disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pyconsul.errors import DiskFullError, StorageError
from pyconsul.raft.messages import NORMAL, Entry, HardState
from pyconsul.server.disk_writer import Batch, DiskWriter, merge


def entries(first: int, count: int, term: int) -> list[Entry]:
    return [Entry(term, index, NORMAL, b"") for index in range(first, first + count)]


def stored(log: list[Entry], more: Sequence[Entry]) -> list[Entry]:
    """What saving ``more`` makes of a log: a suffix is overwritten."""
    return [entry for entry in log if not more or entry.index < more[0].index] + list(more)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=8))
def test_one_save_of_merged_batches_leaves_what_saving_each_would(steps: list[tuple[int, int]]) -> None:
    log: list[Entry] = entries(1, 3, 1)
    batches = []
    one_by_one = list(log)
    for term, (back, count) in enumerate(steps, 2):
        first = max(1, one_by_one[-1].index + 1 - back)
        new = entries(first, count, term)
        batches.append(Batch(HardState(term), new, lambda: None))
        one_by_one = stored(one_by_one, new)
    hard_state, merged = merge(batches)
    assert stored(log, merged) == one_by_one
    assert hard_state == (HardState(len(steps) + 1) if steps else None)


class Disk:
    """Remembers saves; ``fail`` is raised by the next one."""

    def __init__(self) -> None:
        self.saves: list[list[int]] = []
        self.fail: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        self.entered.set()
        self.gate.wait(10)
        if self.fail:
            raise self.fail.pop(0)
        self.saves.append([entry.index for entry in entries])


class Writer:
    def __init__(self) -> None:
        self.disk = Disk()
        self.failures: list[Exception] = []
        self.full: list[bool] = []
        loop = asyncio.get_running_loop()
        self.writer = DiskWriter(self.disk, loop, self.failures.append, self.full.append, full_retry_seconds=0.01)
        self.writer.start()

    def save(self, first: int) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.writer.save(Batch(None, entries(first, 1, 1), lambda: done.set_result(None)))
        return done


async def test_what_waits_for_a_sync_is_saved_by_one_more() -> None:
    writer = Writer()
    writer.disk.gate.clear()
    first = writer.save(1)
    await asyncio.get_running_loop().run_in_executor(None, writer.disk.entered.wait, 10)
    others = [writer.save(index) for index in (2, 3, 4)]
    writer.disk.gate.set()
    await asyncio.gather(first, *others)
    assert writer.disk.saves == [[1], [2, 3, 4]]
    await writer.writer.stop()


async def test_a_full_disk_is_told_and_tried_again() -> None:
    writer = Writer()
    writer.disk.fail = [DiskFullError("full"), DiskFullError("full")]
    await writer.save(1)
    assert writer.full == [True, False]
    assert writer.disk.saves == [[1]]
    await writer.writer.stop()


async def test_after_a_failure_nothing_is_reported_as_done() -> None:
    writer = Writer()
    writer.disk.fail = [StorageError("EIO")]
    done = writer.save(1)
    while not writer.failures:
        await asyncio.sleep(0)
    later = writer.save(2)
    await writer.writer.stop()
    assert [str(error) for error in writer.failures] == ["EIO"]
    assert not done.done()
    assert not later.done()
    assert writer.disk.saves == []
