"""Network coordinates on their way into the replicated state: gathered, so that many agents cost few log entries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pyconsul.errors import PyconsulError
from pyconsul.fsm.commands import AnyCommand, CoordinateBatch
from pyconsul.log import pairs
from pyconsul.records.catalog import Coordinate

PERIOD_SECONDS = 5.0
BATCH_MAX = 128
BATCHES_MAX = 5
"""Log entries in one period; nodes beyond them are told again by their agents."""

SEND_SECONDS_MIN = 15.0
SEND_PER_SECOND = 64
"""What all agents together send; in large clusters each sends more rarely."""


def send_interval(members: int) -> float:
    """Seconds between two updates by one agent, without the random part."""
    return max(SEND_SECONDS_MIN, members / SEND_PER_SECOND)


class CoordinateBatches:
    """``_waiting`` has at most one coordinate per node, the last one. Nothing runs while it is empty."""

    def __init__(
        self,
        write: Callable[[AnyCommand], Awaitable[object]],
        logger: logging.Logger,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        self._write = write
        self._logger = logger
        self._period_seconds = period_seconds
        self._waiting: dict[str, Coordinate] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, coordinate: Coordinate) -> None:
        """Written with others within a period."""
        key = coordinate.node.lower()
        if key not in self._waiting and len(self._waiting) >= BATCH_MAX * BATCHES_MAX:
            self._logger.warning("Discarded coordinate updates", extra=pairs(number_discarded=1))
            return
        self._waiting[key] = coordinate
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_later())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._period_seconds)
            updates = list(self._waiting.values())
            self._waiting.clear()
            for start in range(0, len(updates), BATCH_MAX):
                batch = [(one.node, one.vec, one.error, one.adjustment, one.height)
                         for one in updates[start : start + BATCH_MAX]]  # fmt: skip
                try:
                    await self._write(CoordinateBatch(batch))
                except PyconsulError as error:  # the next update of each node makes up for it
                    self._logger.warning("Batch update of coordinates failed", extra=pairs(error=error))
