"""Plays a recorded scenario against a store: three engines, each with its own server, in the original relative order.

A request is sent after everything that had been answered before it was sent in the original has been answered here, so
nothing that was in sequence becomes parallel; what overlapped is sent in the recorded order without waiting, except
where the recorded answers tell which of two took effect first (``Exchange.after``). Waiting times between requests are
left out unless ``real_time``. RULES.md says what that does to watches, sessions that run out, and failures of stores.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from docker_cluster_store import trace
from docker_cluster_store.compare import Comparer, Difference
from docker_cluster_store.outages import Outage
from docker_cluster_store.trace import Exchange, Scenario, SessionEnd, Step
from docker_cluster_store.wire import Answer, ClosedEarly, ConnectFailed, Connection

PATIENCE_S = 90.0
FOLLOW_UP_S = 2.0
FOLLOW_UP_WAIT_MS = 1000
DIFFERENCES_MAX = 50
NEIGHBOURS = ("docker/network/v1.0/networks/", "docker/network/v1.0/endpoint_count", "docker/node")
EXPIRED_WAIT_MS = 1
WATCHED_AT_LEAST_S = 0.02
BROKEN_WATCH_S = 2.0


class Controller(Protocol):
    """What the scenario does to servers, numbered from 1. All calls block until done."""

    def stop(self, server: int) -> None: ...
    def kill(self, server: int) -> None: ...
    def start(self, server: int) -> None: ...
    def freeze(self, server: int) -> None: ...
    def thaw(self, server: int) -> None: ...
    def wait_until_led(self, servers: Sequence[int]) -> None:
        """Until each of these running servers answers requests and knows a leader."""


@dataclass
class Report:
    """What was replayed. ``asked_again``: watches repeated as dockerd would; ``cut_short``: watches not waited out."""

    scenario: str
    sent: int = 0
    compared: int = 0
    cut_short: int = 0
    asked_again: int = 0
    refused: int = 0
    closed: int = 0
    better: int = 0
    sessions_ended: int = 0
    lifetimes_s: list[float] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{name} {getattr(self, name)}"
            for name in ("sent", "compared", "cut_short", "asked_again", "refused", "closed", "better")
        )
        shown = "\n".join(str(difference) for difference in self.differences[:20])
        return f"{self.scenario}: {counts}, differences {len(self.differences)}\n{shown}"


@dataclass(frozen=True)
class Event:
    """Something that happens at ``t``; ``rank`` and ``number`` order what happens at the same time."""

    t: float
    rank: int
    number: int
    happens: Callable[[], Awaitable[None]]


class Replay:
    """One run of one scenario. ``bases``: URLs of the servers of hosts 1 to 3, or one URL for all.

    ``patience_s``: how long something that the store does by itself (an answer, a registration's end) may take.
    ``differences_max``: the run is given up when it has found so many.
    """

    def __init__(
        self,
        scenario: Scenario,
        bases: Sequence[str],
        controller: Controller | None = None,
        real_time: bool = False,
        patience_s: float = PATIENCE_S,
        differences_max: int = DIFFERENCES_MAX,
    ) -> None:
        self.patience_s, self.differences_max = patience_s, differences_max
        self.scenario = scenario
        self.bases = list(bases) * (3 if len(bases) == 1 else 1)
        self.real_time = real_time
        self.report = Report(scenario.name)
        self._comparer = Comparer()
        self._outage = Outage(controller, self.bases, self._differs)
        self._connections: dict[tuple[int, int], Connection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._over = {exchange.number: asyncio.Event() for exchange in scenario.exchanges}
        self._renewed_at: dict[str, float] = {}

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        events = self._events()
        started = loop.time() - events[0].t
        try:
            await self._plant_neighbours()
            for event in events:
                if len(self.report.differences) >= self.differences_max:
                    break
                if self.real_time:
                    await asyncio.sleep(max(0.0, started + event.t - loop.time()))
                await event.happens()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            for connection in self._connections.values():
                await connection.close()
        return self.report

    def _events(self) -> list[Event]:
        """All that happens, by time: answers before sendings, and a session's end before the answers that show it."""
        events: list[Event] = []
        for exchange in self.scenario.exchanges:
            events.append(Event(exchange.t, 2, exchange.number, partial(self._send, exchange)))
            done = max(exchange.t_done, exchange.t + 1e-6)
            events.append(Event(done, 1, exchange.number, partial(self._finish, exchange)))
        for number, step in enumerate(self.scenario.steps):
            events.append(Event(step.t, 3, number, partial(self._step, step)))
        for number, end in enumerate(self.scenario.session_ends):
            events.append(Event(end.t, 0, number, partial(self._end_session, end)))
            events.append(Event(end.t + 1e-6, 4, number, partial(self._session_ended, end)))
        return sorted(events, key=lambda event: (event.t, event.rank, event.number))

    async def _plant_neighbours(self) -> None:
        """Keys beside the folders that dockerd lists: no list may contain them, no index may move with them."""
        connection = Connection(self.bases[0])
        for key in NEIGHBOURS:
            headers = [("Host", connection.authority), ("Content-Length", "0")]
            answer = await connection.request("PUT", trace.KV + key, headers, b"")
            if answer.body.strip() != b"true":
                self._differs(f"PUT {key}", "writes", f"{answer.status} {answer.body!r}")
        await connection.close()

    def _differs(self, what: object, rule: str, text: str) -> None:
        self.report.differences.append(Difference(str(what), rule, text))

    async def _send(self, exchange: Exchange) -> None:
        self._tasks[exchange.number] = asyncio.create_task(self._exchange(exchange), name=str(exchange))

    async def _finish(self, exchange: Exchange) -> None:
        """The moment at which the answer was complete in the original: from here on it must have come here too."""
        await self._finish_task(exchange, self._tasks[exchange.number])
        self._over[exchange.number].set()

    async def _finish_task(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        if exchange.error in (trace.RECORDING_ENDED, trace.CLIENT_CLOSED):
            await self._end_unanswered(exchange, task)
            return
        if exchange.expired and not self.real_time:
            await self._cut_short(exchange, task)
            return
        if exchange.status == 500 and exchange.watched_index:
            await self._watch_that_failed(task)
            return
        try:
            async with asyncio.timeout(self.patience_s):
                await task
        except TimeoutError:
            self._differs(exchange, "blocking", f"no answer within {self.patience_s:.0f} s")

    async def _end_unanswered(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        """The engine went away, or the recording ended, while the request was waiting: it must be waiting here too."""
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        elif not task.cancelled() and task.exception() is None and exchange.watched_index:
            self._differs(exchange, "blocking", "answered, although nothing had changed when the original was cut off")

    async def _watch_that_failed(self, task: asyncio.Task[None]) -> None:
        """The original broke this watch off when the leader died. Watching on is better: nothing can be missed."""
        await asyncio.wait([task], timeout=min(self.patience_s, BROKEN_WATCH_S))
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            self.report.better += 1

    async def _cut_short(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        """A watch that saw no change until its time was over: checks that it waits, then asks for the answer."""
        await asyncio.wait([task], timeout=WATCHED_AT_LEAST_S)
        if task.done():
            await task
            return
        task.cancel()
        await asyncio.wait([task])
        self.report.cut_short += 1
        asked = self._comparer.index_for(exchange, "index")
        # An unknown index has been reported when the request was sent; without a majority nobody can be asked anew.
        if asked is not None and not self._outage.no_majority:
            self._judge(exchange, await self._ask_alone(exchange, f"{EXPIRED_WAIT_MS}ms", asked))

    async def _exchange(self, exchange: Exchange) -> None:
        for number in sorted(exchange.after):
            await self._over[number].wait()
        await self._send_and_judge(exchange)
        self._over[exchange.number].set()

    async def _send_and_judge(self, exchange: Exchange) -> None:
        if exchange.error == trace.REFUSED:
            self.report.refused += await self._outage.expect_refused(exchange)
            return
        try:
            answer = await self._ask(exchange)
        except ConnectFailed as error:
            if not self._outage.may_close(exchange):
                self._differs(exchange, "connections", f"cannot connect: {error}")
            return
        except ClosedEarly as error:
            self.report.closed += 1
            if exchange.error != trace.SERVER_CLOSED and not self._outage.may_close(exchange):
                self._differs(exchange, "connections", f"closed without an answer: {error}")
            return
        if exchange.error == trace.SERVER_CLOSED:
            if answer.status != 500:
                self._differs(exchange, "failures", f"the store was stopped, its answer is {answer.status}")
            return
        if exchange.error:
            if self._changed(exchange, answer):
                self._judge_unrecorded(exchange, answer)
            return
        answer = await self._outage.after_retries(exchange, answer, lambda: self._ask(exchange))
        if exchange.status == 500:
            self.report.better += self._outage.judge_500(exchange, answer)
            return
        self._judge(exchange, await self._follow_up(exchange, answer))

    async def _ask(self, exchange: Exchange) -> Answer:
        place = (exchange.host, exchange.conn)
        connection = self._connections.get(place)
        if connection is None:
            connection = self._connections[place] = Connection(self.bases[exchange.host - 1])
        self.report.sent += 1
        target = self._target(exchange)
        return await connection.request(exchange.method, target, self._headers(exchange, connection), exchange.body)

    async def _ask_alone(self, exchange: Exchange, wait: str, index: int) -> Answer:
        """The same read on a connection of its own, with another wait and index."""
        connection = Connection(self.bases[exchange.host - 1])
        try:
            query = {**exchange.query, "wait": wait, "index": str(index)}
            target = exchange.path + "?" + "&".join(f"{name}={value}" for name, value in query.items())
            return await connection.request("GET", target, self._headers(exchange, connection), b"")
        finally:
            await connection.close()

    @staticmethod
    def _headers(exchange: Exchange, connection: Connection) -> list[tuple[str, str]]:
        return [(name, connection.authority if name == "Host" else value) for name, value in exchange.headers]

    def _target(self, exchange: Exchange) -> str:
        """Path and query with the session ids and numbers of the store under test."""
        path = exchange.path
        if path.startswith("/v1/session/renew/"):
            head, _, session = path.rpartition("/")
            path = f"{head}/{self._comparer.session(session)}"
        query = dict(exchange.query)
        if "acquire" in query:
            query["acquire"] = self._comparer.session(query["acquire"])
        for name in ("cas", "index"):
            if name in query:
                number = self._comparer.index_for(exchange, name)
                if number is None:
                    self._differs(exchange, "index relations", f"no answer has shown what {name}={query[name]} became")
                else:
                    query[name] = str(number)
        return path + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")

    def _judge(self, exchange: Exchange, answer: Answer) -> None:
        self.report.compared += 1
        self.report.differences += self._comparer.check(exchange, answer)
        self._comparer.learn(exchange, answer)
        if exchange.path.startswith("/v1/session/renew/"):
            self._renewed_at[exchange.path.rpartition("/")[2]] = asyncio.get_running_loop().time()

    def _changed(self, exchange: Exchange, answer: Answer) -> bool:
        return exchange.watched_index > 0 and answer.status == 200 and bool(answer.index)

    def _judge_unrecorded(self, exchange: Exchange, answer: Answer) -> None:
        """A watch that had no answer in the original got one: only its time being over excuses that."""
        asked = self._comparer.index_for(exchange, "index")
        if answer.index != asked or answer.elapsed_s < exchange.wait_s:
            self._differs(exchange, "blocking", f"woken with index {answer.index}, asked for a change of {asked}")

    async def _follow_up(self, exchange: Exchange, answer: Answer) -> Answer:
        """A watch that saw another moment than the original did: goes on watching as dockerd does, and returns the
        last answer. The indexes must grow, or the time have been over."""
        if not exchange.watched_index or exchange.expired:
            if exchange.expired and answer.elapsed_s < exchange.wait_s and answer.status == exchange.status:
                self._differs(exchange, "blocking", f"answered after {answer.elapsed_s:.3f} s of {exchange.wait_s} s")
            return answer
        asked = self._comparer.index_for(exchange, "index")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.patience_s if self._outage.happened else min(FOLLOW_UP_S, self.patience_s / 10))
        waited_s = exchange.wait_s
        while asked is not None and loop.time() < deadline and self._another_moment(exchange, answer):
            if not (answer.index or 0) > asked and not (answer.index == asked and answer.elapsed_s >= waited_s):
                break
            asked, waited_s = answer.index or asked, FOLLOW_UP_WAIT_MS / 1000
            self.report.asked_again += 1
            answer = await self._ask_alone(exchange, f"{FOLLOW_UP_WAIT_MS}ms", asked)
        return answer

    def _another_moment(self, exchange: Exchange, answer: Answer) -> bool:
        """Whether what differs is what a later answer may bring."""
        if answer.status not in (200, 404):
            return False
        rules = {difference.rule for difference in self._comparer.check(exchange, answer)}
        return bool(rules) and rules <= {"status", "entries", "values", "locks", "index relations"}

    async def _end_session(self, end: SessionEnd) -> None:
        """A session ran out here in the original. Without real time the replay ends it itself."""
        if self.real_time:
            return
        connection = Connection(self.bases[0])
        session = self._comparer.session(end.session)
        headers = [("Host", connection.authority), ("Content-Length", "0")]
        answer = await connection.request("PUT", f"/v1/session/destroy/{session}", headers, b"")
        await connection.close()
        self.report.sessions_ended += 1
        if answer.status != 200 or b"true" not in answer.body:
            self._differs(end, "sessions", f"destroy answered {answer.status} {answer.body!r}")

    async def _session_ended(self, end: SessionEnd) -> None:
        """With real time: some watch has just shown the end; measures how long after the last renewal that is."""
        if self.real_time:
            lived = asyncio.get_running_loop().time() - self._renewed_at[end.session]
            self.report.lifetimes_s.append(lived)
            if not 40.0 <= lived <= 66.0:
                self._differs(end, "sessions", f"ended {lived:.1f} s after its last renewal, TTL 30 s")

    async def _step(self, step: Step) -> None:
        await self._outage.step(step)
        if step.nodes is not None:
            await self._expect_nodes(step)

    async def _expect_nodes(self, step: Step) -> None:
        """The recorder listed the registered engines here; the list must become the same."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience_s
        got: object = None
        while loop.time() < deadline:
            connection = Connection(self.bases[self._outage.some_running() - 1])
            try:
                target = "/v1/kv/docker/nodes/?keys"
                answer = await connection.request("GET", target, [("Host", connection.authority)], b"")
            finally:
                await connection.close()
            got = json.loads(answer.body) if answer.status == 200 else answer.status
            if got == step.nodes:
                return
            await asyncio.sleep(0.1)
        self._differs(step.text, "state", f"engines: recorded {step.nodes}, got {got}")


async def replay(
    name: str,
    bases: Sequence[str],
    controller: Controller | None = None,
    real_time: bool = False,
    patience_s: float = PATIENCE_S,
    differences_max: int = DIFFERENCES_MAX,
) -> Report:
    """Loads and replays the scenario ``name``."""
    return await Replay(trace.load(name), bases, controller, real_time, patience_s, differences_max).run()
