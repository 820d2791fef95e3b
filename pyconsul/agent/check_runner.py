"""Carries out the checks that ask something: HTTP requests, TCP connections and programs, each at its interval.

HTTP reference, "Checks of the agent". A check's first run comes at a random moment within its interval, so that many
checks that begin together do not stay together.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from pyconsul.agent.check_script import SCRIPT_TIMEOUT_SECONDS, run_script
from pyconsul.agent.local_definitions import CheckDefinition, LocalCheck
from pyconsul.clock import Random
from pyconsul.codec.duration import SECOND
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING

if TYPE_CHECKING:
    import aiohttp

ASKING = ("http", "tcp", "script")
"""The kinds of checks that have a task here."""

INTERVAL_SECONDS_MIN = 1.0
TIMEOUT_SECONDS = 10.0
READ_BYTES_MAX = 1_048_576
"""Of the body of an answer; what follows is not read."""

CLOSE_SECONDS = 1.0
USER_AGENT = "Consul Health Check"
ACCEPT = "text/plain, text/*, */*"
TOO_MANY_REQUESTS = 429

Result = tuple[str, str]
"""Status and output."""

Report = Callable[[str, str, str], Awaitable[None]]
"""Takes the id of a check, its status and its output."""


class Threshold:
    """Lets a result count when there were enough of its kind in a row; the first one counts at once."""

    def __init__(self, success_before_passing: int, failures_before_critical: int) -> None:
        self._needed = {True: success_before_passing, False: failures_before_critical}
        self._counts = dict(self._needed)

    def passes(self, status: str) -> bool:
        """A warning is a success."""
        success = status != CRITICAL
        self._counts[success] += 1
        self._counts[not success] = 0
        return self._counts[success] >= self._needed[success]


class CheckRunner:
    """``follow`` is told of all checks of the agent after every change; ``report`` gets the results that count."""

    def __init__(self, report: Report, random: Random) -> None:
        self._report = report
        self._random = random
        self._running: dict[str, tuple[CheckDefinition, asyncio.Task[None]]] = {}
        self._session: aiohttp.ClientSession | None = None

    def follow(self, checks: Mapping[str, LocalCheck]) -> None:
        """Starts what is new, ends what is gone, begins anew what has another definition."""
        for check_id, (definition, task) in list(self._running.items()):
            check = checks.get(check_id)
            if check is None or check.definition != definition:
                task.cancel()
                del self._running[check_id]
        for check_id, check in checks.items():
            definition = check.definition
            if check_id not in self._running and definition.kind in ASKING:
                task = asyncio.get_running_loop().create_task(self._run(check_id, definition))
                self._running[check_id] = (definition, task)

    async def close(self) -> None:
        """Ends all checks."""
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _run(self, check_id: str, definition: CheckDefinition) -> None:
        interval_s = max(definition.interval_ns / SECOND, INTERVAL_SECONDS_MIN)
        threshold = Threshold(definition.success_before_passing, definition.failures_before_critical)
        pause = self._random.uniform(0, interval_s)
        while True:
            await asyncio.sleep(pause)
            pause = interval_s
            status, output = await self.once(definition)
            if threshold.passes(status):
                await self._report(check_id, status, output)

    async def once(self, definition: CheckDefinition) -> Result:
        """The result of one run. Never raises for what the other side does."""
        kind = definition.kind
        usual_s = SCRIPT_TIMEOUT_SECONDS if kind == "script" else TIMEOUT_SECONDS
        timeout_s = definition.timeout_ns / SECOND if definition.timeout_ns > 0 else usual_s
        if kind == "http":
            return await self._http(definition, timeout_s)
        if kind == "script":
            return await run_script(definition.script_args, timeout_s, definition.output_limit)
        return await _tcp(definition.tcp, timeout_s)

    async def _http(self, definition: CheckDefinition, timeout_s: float) -> Result:
        import aiohttp  # half a second of start-up time that an agent without such checks is spared
        from yarl import URL

        if self._session is None:
            # A check tells whether a connection can be had: none is kept.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        method, url = definition.method or "GET", definition.http
        headers = [("User-Agent", USER_AGENT), ("Accept", ACCEPT)]
        given = {name.lower() for name in definition.header}
        headers = [pair for pair in headers if pair[0].lower() not in given]
        headers += [(name, value) for name, values in definition.header.items() for value in values]
        try:
            async with self._session.request(
                method, URL(url, encoded=True), data=definition.body.encode() or None, headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s), ssl=not definition.tls_skip_verify,
                server_hostname=definition.tls_server_name or None,
            ) as answer:  # fmt: skip
                body = await answer.content.read(READ_BYTES_MAX)
                while len(body) < READ_BYTES_MAX and (more := await answer.content.read(READ_BYTES_MAX - len(body))):
                    body += more
        except TimeoutError:
            return CRITICAL, f'{method.capitalize()} "{url}": context deadline exceeded'
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return CRITICAL, f'{method.capitalize()} "{url}": {_reason(error)}'
        shown = body[-definition.output_limit :].decode("utf-8", "replace")
        output = f"HTTP {method} {url}: {answer.status} {answer.reason} Output: {shown}"
        if 200 <= answer.status < 300:
            return PASSING, output
        return WARNING if answer.status == TOO_MANY_REQUESTS else CRITICAL, output


async def _tcp(address: str, timeout_s: float) -> Result:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        return CRITICAL, f"dial tcp: address {address}: missing port in address"
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return CRITICAL, f"dial tcp {address}: i/o timeout"
    except OSError as error:
        return CRITICAL, f"dial tcp {address}: {_reason(error)}"
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)
    return PASSING, f"TCP connect {address}: Success"


def _reason(error: Exception) -> str:
    """The words of the system where they are known."""
    number = getattr(error, "errno", None)
    return f"connect: {os.strerror(number).lower()}" if isinstance(number, int) and number > 0 else str(error)
