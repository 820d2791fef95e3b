"""What a scenario does to the servers, and how the failures of its requests are judged meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from docker_cluster_store.trace import SERVER_CLOSED, Exchange, Step
from docker_cluster_store.wire import Answer, ClosedEarly, ConnectFailed, Connection

if TYPE_CHECKING:
    from docker_cluster_store.replay import Controller

RETRY_EVERY_S = 0.5
RETRIES_MAX = 60


class Outage:
    """State of the three servers as the scenario's steps leave it."""

    def __init__(
        self, controller: Controller | None, bases: Sequence[str], differs: Callable[[object, str, str], None]
    ) -> None:
        self._controller = controller
        self._bases = bases
        self._differs = differs
        self._down: set[int] = set()
        self._frozen: set[int] = set()
        self._recovering = False
        self.happened = False

    def some_running(self) -> int:
        """A server that can be asked."""
        return next(server for server in (1, 2, 3) if server not in self._down | self._frozen)

    async def step(self, step: Step) -> None:
        """Does what the step says, if it concerns servers."""
        text = step.text
        numbers = [int(each) for each in re.findall(r"\d+", text.partition("[")[2].partition("]")[0])]
        if step.host is not None and not numbers:
            numbers = [step.host]
        self.happened |= text.startswith("PHASE")
        if "killed (-9)" in text:
            self._down.update(numbers)
            await self._each("kill", numbers)
        elif "stopped (TERM)" in text:
            self._down.update(numbers)
            await self._each("stop", numbers)
        elif "started again" in text:
            self._recovering = True
            await self._each("start", numbers)
            assert self._controller is not None
            await asyncio.to_thread(self._controller.wait_until_led, [1, 2, 3])
            self._down.difference_update(numbers)
        elif "frozen (STOP)" in text:
            self._frozen.update(numbers)
            await self._each("freeze", numbers)
        elif text.endswith("continues"):
            await self._each("thaw", numbers)
            self._frozen.difference_update(numbers)
            self._recovering = True
        elif text.startswith("PHASE"):
            raise ValueError(f"step not understood: {text}")

    async def _each(self, verb: str, servers: Sequence[int]) -> None:
        if self._controller is None:
            raise ValueError("this scenario stops servers: a controller is needed")
        for server in servers:
            await asyncio.to_thread(getattr(self._controller, verb), server)

    @property
    def no_majority(self) -> bool:
        return len(self._down | self._frozen) >= 2

    async def expect_refused(self, exchange: Exchange) -> bool:
        """A connection that was refused in the original must be refused while that server is down; not asked when
        the server is up again earlier than the original was. Returns whether it was asked."""
        if exchange.host not in self._down:
            return False
        connection = Connection(self._bases[exchange.host - 1])
        try:
            await connection.open()
        except ConnectFailed:
            return True
        finally:
            await connection.close()
        if exchange.host in self._down:
            self._differs(f"#{exchange.number} t={exchange.t} host {exchange.host}", "connections", "is not refused")
        return True

    def may_close(self, exchange: Exchange) -> bool:
        """Whether a connection of this request may end without an answer: dockerd treats that as it does a 500."""
        return exchange.host in self._down and (exchange.status == 500 or exchange.error == SERVER_CLOSED)

    async def after_retries(self, exchange: Exchange, answer: Answer, again: Callable[[], Awaitable[Answer]]) -> Answer:
        """While servers come back, a 500 in place of the recorded success is asked again, as the heartbeat does."""
        for _ in range(RETRIES_MAX):
            if answer.status != 500 or exchange.status == 500 or not self._recovering:
                break
            await asyncio.sleep(RETRY_EVERY_S)
            try:
                answer = await again()
            except (ConnectFailed, ClosedEarly):
                continue
        return answer

    def judge_500(self, exchange: Exchange, answer: Answer) -> bool:
        """The original failed. Failing with 500 is right, and so is an answer that is true all the same; never a 404,
        an empty list, or another status. Returns whether it was better than recorded."""
        if answer.status == 500:
            if not answer.body:
                self._differs(exchange, "failures", "a 500 without a text")
            return False
        empty = exchange.method == "GET" and answer.body.strip() in (b"", b"[]", b"null")
        if answer.status != 200 or empty:
            self._differs(exchange, "failures", f"recorded 500, got {answer.status} {answer.body[:80]!r}")
        elif exchange.method == "GET" and not all(entry.get("Key") for entry in json.loads(answer.body)):
            self._differs(exchange, "failures", f"recorded 500, got {answer.body[:80]!r}")
        return True
