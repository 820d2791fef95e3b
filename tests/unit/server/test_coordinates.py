"""Coordinates are written together, the last one of each node."""

from __future__ import annotations

import asyncio
import logging

from pyconsul.errors import NoLeaderError
from pyconsul.fsm.commands import AnyCommand, CoordinateBatch
from pyconsul.records.catalog import Coordinate
from pyconsul.server.coordinates import BATCH_MAX, BATCHES_MAX, CoordinateBatches, send_interval


def at(node: str, place: float) -> Coordinate:
    return Coordinate(node, [place, 0, 0, 0, 0, 0, 0, 0], 1.5, 0.0, 1e-5)


class Written:
    def __init__(self) -> None:
        self.batches: list[CoordinateBatch] = []
        self.fails = 0

    async def write(self, command: AnyCommand) -> object:
        assert isinstance(command, CoordinateBatch)
        if self.fails:
            self.fails -= 1
            raise NoLeaderError
        self.batches.append(command)
        return True

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.batches) < count:
                await asyncio.sleep(0.005)


async def test_the_last_coordinate_of_a_node_counts() -> None:
    written = Written()
    batches = CoordinateBatches(written.write, logging.getLogger("test"), 0.01)
    for coordinate in (at("a", 1.0), at("b", 2.0), at("A", 3.0)):
        batches.add(coordinate)
    await written.until(1)
    assert [(update[0], update[1][0]) for update in written.batches[0].updates] == [("A", 3.0), ("b", 2.0)]
    batches.add(at("c", 4.0))
    await written.until(2)
    assert [update[0] for update in written.batches[1].updates] == ["c"]
    await batches.stop()


async def test_there_is_a_limit_and_errors_are_survived() -> None:
    written = Written()
    written.fails = 1
    batches = CoordinateBatches(written.write, logging.getLogger("test"), 0.01)
    for number in range(BATCH_MAX * BATCHES_MAX + 10):
        batches.add(at(f"n{number}", 1.0))
    await written.until(BATCHES_MAX - 1)
    assert {len(batch.updates) for batch in written.batches} == {BATCH_MAX}
    batches.add(at("later", 1.0))
    await written.until(BATCHES_MAX)
    await batches.stop()


def test_many_agents_send_more_rarely() -> None:
    assert send_interval(3) == send_interval(960) == 15.0
    assert send_interval(6400) == 100.0
