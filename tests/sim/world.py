"""One thread in which several server processes live: virtual time, event loops, threads, a network, disks.

A ``Process`` is one life of a server. It has an event loop of its own (``SimLoop``: the parts of asyncio's interface
that the server uses, on virtual time), a clock that may run at another speed than true time, and stands still or dies
when the nemesis wants it. What the server gives to threads runs here too, after a delay, as one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import heapq
import itertools
import os
import random
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from pyconsul.storage.memory import MemoryFiles


class Violation(AssertionError):
    """A promise did not hold."""


class Crash(BaseException):
    """The simulated process dies here. ``power``: the whole machine, with what was not synced."""

    def __init__(self, power: bool, process: Process | None = None) -> None:
        super().__init__("crash")
        self.power = power
        if process is not None:
            # A task keeps what is raised in it to itself; the world looks here after the step.
            process.crashing = power


IO, TIMER, SOON, THREAD = "io", "timer", "soon", "thread"


class SimHandle:
    """What call_soon and call_later return."""

    __slots__ = ("arguments", "callback", "context", "when_s")

    def __init__(
        self,
        callback: Callable[..., Any],
        arguments: tuple[Any, ...],
        context: contextvars.Context | None,
        when_s: float,
    ) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.arguments = arguments
        self.context = context
        self.when_s = when_s

    def cancel(self) -> None:
        self.callback = None

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.when_s

    def run(self) -> None:
        if self.callback is None:
            return
        if self.context is None:
            self.callback(*self.arguments)
        else:
            self.context.run(self.callback, *self.arguments)


class SimLoop(asyncio.AbstractEventLoop):
    """The event loop of one process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.tasks: dict[asyncio.Task[Any], None] = {}  # a set would have another order in each run
        self._jobs_until = 0.0

    def time(self) -> float:
        return self.process.monotonic()

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        handle = SimHandle(callback, args, context, 0.0)
        self.process.world.push(0.0, SOON, handle.run, self.process)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        handle = SimHandle(callback, args, context, self.time() + delay)
        self.process.world.push(max(0.0, delay) / self.process.rate, TIMER, handle.run, self.process)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **_: Any) -> Any:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self)
        self.tasks[task] = None
        task.add_done_callback(lambda done: self.tasks.pop(done, None))
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> Any:
        """One thread for all jobs, in order."""
        process = self.process
        if process.dead:
            raise Crash(False)
        world = process.world
        future = self.create_future()
        start = max(world.now, self._jobs_until)
        self._jobs_until = start + process.disk_delay()

        def job() -> None:
            try:
                result = func(*args)
            except Exception as error:
                self.call_soon(_set_exception, future, error)
            else:
                self.call_soon(_set_result, future, result)

        world.push(self._jobs_until - world.now, THREAD, job, process)
        return future

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, **options: Any
    ) -> Any:
        return await self.process.sockets.create_datagram_endpoint(protocol_factory, options["sock"])

    async def create_server(self, protocol_factory: Any, *_: Any, **options: Any) -> Any:
        return await self.process.sockets.create_server(protocol_factory, options["sock"])

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.process.sockets.create_connection(protocol_factory, host, port)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        raise Violation(f"{self.process.name} looks up {host!r}, where everybody is called by address")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.process.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not self.process.dead and not isinstance(error, Crash):
            self.process.world.failures.append(error)


def _set_result(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class SimFiles(MemoryFiles):
    """The disk of one server. Every operation that changes something is a step before and after which it may die."""

    reserves = True

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.on_operation: Callable[[str, bool], None] = _no_fault
        self.owner_dead = False

    def _step(self, name: str, operation: Callable[[], Any]) -> Any:
        if self.owner_dead:
            raise Crash(False)
        self.operations += 1
        self.on_operation(name, False)
        result = operation()
        self.on_operation(name, True)
        return result

    def create(self, path: Path) -> int:
        return int(self._step("create", lambda: MemoryFiles.create(self, path)))

    def reserve(self, handle: int, offset: int, size: int) -> bool:
        return bool(self._step("reserve", lambda: MemoryFiles.reserve(self, handle, offset, size)))

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        return int(self._step("write", lambda: MemoryFiles.write(self, handle, data, offset)))

    def truncate(self, handle: int, size: int) -> None:
        self._step("truncate", lambda: MemoryFiles.truncate(self, handle, size))

    def sync(self, handle: int) -> None:
        self._step("sync", lambda: MemoryFiles.sync(self, handle))

    def rename(self, old: Path, new: Path) -> None:
        self._step("rename", lambda: MemoryFiles.rename(self, old, new))

    def remove(self, path: Path) -> None:
        self._step("remove", lambda: MemoryFiles.remove(self, path))

    def sync_dir(self, path: Path) -> None:
        self._step("sync_dir", lambda: MemoryFiles.sync_dir(self, path))

    def close(self, handle: int) -> None:
        if not self.owner_dead:
            super().close(handle)


def _no_fault(name: str, after: bool) -> None:
    """No faults unless somebody wants them."""


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def io_error() -> OSError:
    return os_error(errno.EIO)


class Process:
    """One life of a server: loop, clock, and whether it runs. ``rate``: its seconds per true second; ``owner``: the
    server whose life it is, for the stand-ins; ``sockets``: what it has of the network (sim_sockets.py)."""

    def __init__(self, world: World, name: str, rate: float, disk_delay: Callable[[], float], owner: Any) -> None:
        self.world = world
        self.name = name
        self.rate = rate
        self.disk_delay = disk_delay
        self.owner = owner
        self.sockets: Any = None
        self.loop = SimLoop(self)  # type: ignore[abstract]
        self.dead = False
        self.crashing: bool | None = None
        self.stopped = False
        self.backlog: deque[tuple[str, Callable[[], None]]] = deque()
        self.free_at = 0.0
        self.due: list[tuple[int, str, Callable[[], None]]] = []
        self.first_due: int | None = None
        self.step_seconds = 0.0
        self.wall_offset = 0.0
        self.on_crash: Callable[[bool], None] = _ignore_crash
        self._offset = world.random.uniform(0, 1000)

    # The server's clock (pyconsul.clock.Clock)

    def monotonic(self) -> float:
        return self._offset + self.world.now * self.rate

    def wall(self) -> float:
        return 1_700_000_000 + self.wall_offset + self.world.now

    def spawn(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """A task of this process, begun in its next turn."""
        self.world.push(0.0, IO, lambda: self.loop.create_task(function()), self)

    def stand_still(self) -> None:
        """As after SIGSTOP: nothing runs until ``go_on``."""
        self.stopped = True

    def go_on(self, input_first: bool) -> None:
        """``input_first``: what came in meanwhile is handled before the timers that are due."""
        if not self.stopped or self.dead:
            return
        self.stopped = False
        waiting = list(self.backlog)
        self.backlog.clear()
        if input_first:
            waiting.sort(key=lambda item: item[0] == TIMER)
        for kind, action in waiting:
            self.world.push(0.0, kind, action, self)

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self.dead = True
        self.backlog.clear()
        for task in list(self.loop.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            with contextlib.suppress(BaseException):
                if coroutine is not None:
                    coroutine.close()
        self.loop.tasks.clear()


def _ignore_crash(power: bool) -> None:
    """Until the cluster sets its own."""


class World:
    """True time and everything that is going to happen."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.failures: list[BaseException] = []
        self.after_step: Callable[[Process], None] = _no_check
        self._events: list[tuple[float, int, str, Callable[[], None], Process | None]] = []
        self._numbers = itertools.count()

    def push(self, delay: float, kind: str, action: Callable[[], None], process: Process | None = None) -> None:
        """``action`` after ``delay`` true seconds, in this process if it lives then (or outside of all)."""
        heapq.heappush(self._events, (self.now + delay, next(self._numbers), kind, action, process))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            when, number, kind, action, process = heapq.heappop(events)
            if process is None:
                self.now = max(self.now, when)
                action()
            elif process.free_at > when and kind != THREAD and not process.dead:
                self._put_off(process, number, kind, action)
                continue
            else:
                self.now = max(self.now, when)
                if process.stopped:
                    process.backlog.append((kind, action))
                elif not process.dead:
                    self._step(process, kind, action)
                if process.first_due == number:
                    self._next_due(process)
            if self.failures:
                raise self.failures.pop(0)
        self.now = max(self.now, until)

    def _put_off(self, process: Process, number: int, kind: str, action: Callable[[], None]) -> None:
        """The process is busy. What it has to do then keeps its order by number; only the first is in the heap of all,
        since a busy process may have hundreds of events waiting, and each of its steps would push them all again."""
        if process.first_due is None or number <= process.first_due:
            process.first_due = number
            heapq.heappush(self._events, (process.free_at, number, kind, action, process))
        else:
            heapq.heappush(process.due, (number, kind, action))

    def _next_due(self, process: Process) -> None:
        process.first_due = None
        if process.due and not process.dead:
            number, kind, action = heapq.heappop(process.due)
            process.first_due = number
            heapq.heappush(self._events, (max(process.free_at, self.now), number, kind, action, process))

    def _step(self, process: Process, kind: str, action: Callable[[], None]) -> None:
        self.steps += 1
        _stepping.append(process)
        if kind != THREAD:
            asyncio._set_running_loop(process.loop)
            process.free_at = self.now + process.step_seconds
        try:
            action()
        except Crash as crash:
            process.crashing = crash.power
        finally:
            _stepping.pop()
            asyncio._set_running_loop(None)
        if process.dead:
            return
        if process.crashing is not None:
            process.on_crash(process.crashing)
        else:
            self.after_step(process)


def _no_check(process: Process) -> None:
    """Until a judge is there."""


_stepping: list[Process] = []


def current_process() -> Process:
    """The process whose step this is, on its event loop or in one of its threads."""
    return _stepping[-1]
