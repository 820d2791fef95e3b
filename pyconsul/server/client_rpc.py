"""How a client agent asks servers: whole HTTP requests, and commands of the agent itself.

A request goes to the server in use. When that server could not be reached, and for reads also when it went away before
it answered, the next one is asked; after all were tried in vain there is a pause. All of it ends with the hold time,
counted from the first failure, so that a read that waited for minutes is asked again like any other. A write that may
have reached a server is never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pyconsul.clock import Clock, Random
from pyconsul.errors import CallerError, DecodeError, NoLeaderError, PyconsulError, RpcError
from pyconsul.fsm import commands
from pyconsul.fsm.commands import AnyCommand
from pyconsul.net.rpc import RpcFailure
from pyconsul.records.session import Session
from pyconsul.server import forward
from pyconsul.server.backend import RaftPeer, ReadMeta, ReadMode
from pyconsul.server.client_answers import CLIENT_APPLY, CLIENT_CATALOG, CatalogSlice, decode_catalog
from pyconsul.server.client_http import HTTP, HTTP_END, HTTP_PART, HttpAnswer, HttpCall, decode, encode
from pyconsul.server.client_servers import ServerList
from pyconsul.server.consensus import rpc_error
from pyconsul.state.store import Store

NO_SERVERS = "No known Consul servers"

READ_METHODS = (b"GET", b"HEAD", b"OPTIONS")
PAUSE_SECONDS = 0.25
ANSWER_BYTES_MAX = 1 << 30

Answered = Callable[[HttpAnswer | PyconsulError], None]


class ClientRpc:
    """The way from a client agent to its servers."""

    def __init__(
        self, servers: ServerList, clock: Clock, random: Random, hold_seconds: float, source_host: str | None = None
    ) -> None:
        self.servers = servers
        self.pool = forward.RpcPool(source_host)
        self.clock = clock
        self.hold_seconds = hold_seconds
        self._random = random
        self._number = 0

    def http(self, node: str, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes | None,
             announced: int | None, answered: Answered) -> HttpExchange:  # fmt: skip
        """Passes a request on. ``answered`` is called once from the loop, never within this call."""
        self._number += 1
        call = HttpCall(self._number, node, method, target, headers, body, announced)
        exchange = HttpExchange(self, call, answered)
        exchange.ask()
        return exchange

    async def request(self, node: str, method: bytes, target: bytes, body: bytes = b"") -> HttpAnswer:
        """A request of the agent itself. Raises PyconsulError when no server answered."""
        future: asyncio.Future[HttpAnswer | PyconsulError] = asyncio.get_running_loop().create_future()

        def answered(result: HttpAnswer | PyconsulError) -> None:
            if not future.done():
                future.set_result(result)

        exchange = self.http(node, method, target, {}, body, len(body), answered)
        try:
            result = await future
        except asyncio.CancelledError:
            exchange.cancel()
            raise
        if isinstance(result, PyconsulError):
            raise result
        return result

    def pause(self) -> float:
        """Seconds until all servers are tried once more."""
        return PAUSE_SECONDS * (1 + self._random.random())


class _Attempts:
    """One question and the servers that it was put to. ``repeatable``: it may be put again although it was sent."""

    __slots__ = ("_asked", "_deadline", "_timer", "_tried", "address", "over", "repeatable", "rpc")

    def __init__(self, rpc: ClientRpc, repeatable: bool) -> None:
        self.rpc = rpc
        self.repeatable = repeatable
        self.address = ""
        self.over = False
        self._tried = 0
        self._asked = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        self._timer = None
        server = self.rpc.servers.current
        if server is None:
            asyncio.get_running_loop().call_soon(self.fail, CallerError(NO_SERVERS, 500))
            return
        self.address = server.rpc_address
        self._asked = self.rpc.clock.monotonic()
        self.send()

    def send(self) -> None:
        """Puts the question to ``address``."""
        raise NotImplementedError

    def end(self, result: object) -> None:
        """The result, or a PyconsulError."""
        raise NotImplementedError

    def fail(self, error: PyconsulError) -> None:
        if not self.over:
            self.stop()
            self.end(error)

    def stop(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()

    def unanswered(self, failure: RpcFailure | RpcError) -> None:
        """Asks again, or gives up with the error."""
        if isinstance(failure, RpcFailure):
            self.fail(forward.error_of(failure))
            return
        rpc = self.rpc
        rpc.servers.failed(self.address)
        now = rpc.clock.monotonic()
        if not self._deadline or now - self._asked > rpc.hold_seconds:
            self._deadline = now + rpc.hold_seconds
        if (failure.sent and not self.repeatable) or now >= self._deadline:
            self.fail(rpc_error(failure))
            return
        self._tried += 1
        delay = 0.0 if self._tried % max(1, len(rpc.servers)) else rpc.pause()
        self._timer = asyncio.get_running_loop().call_later(delay, self._again)

    def _again(self) -> None:
        if not self.over:
            self.ask()


class HttpExchange(_Attempts):
    """A request that is on its way, or being answered by a server."""

    __slots__ = ("_answer", "_answered", "_body", "_call", "_size")

    def __init__(self, rpc: ClientRpc, call: HttpCall, answered: Answered) -> None:
        super().__init__(rpc, call.method in READ_METHODS)
        self._call = call
        self._answered = answered
        self._answer: HttpAnswer
        self._body: list[bytes] = []
        self._size = 0

    def send(self) -> None:
        self._body = []
        self._size = 0
        self.rpc.pool.client(self.address).call(HTTP, encode(self._call), self._first)

    def end(self, result: object) -> None:
        self._answered(result)  # type: ignore[arg-type]

    def cancel(self) -> None:
        """Nobody waits any more: the server need not go on either."""
        if not self.over:
            self.stop()
            self._tell(hurry=False)

    def hurry(self) -> None:
        """A waiting read is to be answered as if its time were over."""
        if not self.over:
            self._tell(hurry=True)

    def _tell(self, hurry: bool) -> None:
        if self.address:
            self.rpc.pool.client(self.address).call(HTTP_END, encode((self._call.id, hurry)), _nobody_waits)

    def _first(self, failure: RpcFailure | RpcError | None, result: bytes) -> None:
        if self.over:
            return
        if failure is not None:
            self.unanswered(failure)
            return
        try:
            self._answer = decode(result, HttpAnswer)
            if not len(self._answer.body) <= self._answer.size <= ANSWER_BYTES_MAX:
                raise DecodeError(f"an answer of {self._answer.size} bytes")
        except DecodeError as error:
            self.fail(error)
            return
        self._take(self._answer.body)

    def _part(self, failure: RpcFailure | RpcError | None, result: bytes) -> None:
        if self.over:
            return
        if failure is not None:
            self.unanswered(failure)
        elif not result:
            self.fail(DecodeError("an answer of a server ends early"))
        else:
            self._take(result)

    def _take(self, part: bytes) -> None:
        self._body.append(part)
        self._size += len(part)
        answer = self._answer
        if self._size < answer.size:
            argument = encode((self._call.id, self._size))
            self.rpc.pool.client(self.address).call(HTTP_PART, argument, self._part)
            return
        self.stop()
        body = part if len(self._body) == 1 else b"".join(self._body)
        self.end(HttpAnswer(answer.status, answer.head, answer.is_json, answer.size, body))


class _Question(_Attempts):
    """A method of the servers' RPC. ``done`` is called once, with the decoded result or a PyconsulError."""

    __slots__ = ("_argument", "_decode", "_done", "_method")

    def __init__(
        self,
        rpc: ClientRpc,
        method: str,
        argument: bytes,
        decoded: Callable[[bytes], object],
        done: Callable[[object], None],
        repeatable: bool,
    ) -> None:
        super().__init__(rpc, repeatable)
        self._method = method
        self._argument = argument
        self._decode = decoded
        self._done = done

    def send(self) -> None:
        self.rpc.pool.client(self.address).call(self._method, self._argument, self._result)

    def end(self, result: object) -> None:
        self._done(result)

    def _result(self, failure: RpcFailure | RpcError | None, result: bytes) -> None:
        if failure is not None:
            self.unanswered(failure)
            return
        self.stop()
        try:
            self.end(self._decode(result))
        except DecodeError as error:
            self.end(error)


def _nobody_waits(failure: RpcFailure | RpcError | None, result: bytes) -> None:
    """When the server is gone, so is what it was told to end."""


class ClientConsensus:
    """ConsensusApi (server/backend.py) of an agent without a copy of the state, for the agent's own needs.

    Commands go to a server. ``read`` fetches what an agent needs of the catalog, all nodes and the services and checks
    of its own, and ``store`` holds that. Requests of others are passed on as they are (``ClientRpc.http``).
    """

    is_leader = False

    def __init__(self, rpc: ClientRpc, node: str) -> None:
        self._rpc = rpc
        self._node = node
        self._store = Store()

    @property
    def store(self) -> Store:
        """As of the last ``read``; empty before."""
        return self._store

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        return None

    async def read(self, mode: ReadMode) -> ReadMeta:
        found = await self._ask(CLIENT_CATALOG, encode((self._node, mode.value)), decode_catalog, repeatable=True)
        if not isinstance(found, CatalogSlice):
            raise DecodeError("no catalog")
        store = Store()
        store.catalog.node_table.load(found.nodes)
        store.catalog.service_table.load(found.services)
        store.catalog.check_table.load(found.checks)
        self._store = store
        return ReadMeta(known_leader=True, last_contact_ms=0, forwarded=True)

    def submit(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        def decoded(data: bytes) -> object:
            return forward.decode_result(command, data)

        _Question(self._rpc, CLIENT_APPLY, commands.encode(command), decoded, done, repeatable=False).ask()

    async def write(self, command: AnyCommand) -> object:
        return await _result_of(lambda done: self.submit(command, done))

    async def _ask(self, method: str, argument: bytes, decoded: Callable[[bytes], object], repeatable: bool) -> object:
        return await _result_of(lambda done: _Question(self._rpc, method, argument, decoded, done, repeatable).ask())

    async def renew_session(self, session_id: str) -> Session | None:
        raise CallerError("sessions are renewed by servers", 500)

    async def session_times(self) -> dict[str, float]:
        return {}

    def leader_address(self) -> str:
        return ""

    def peer_addresses(self) -> list[str]:
        return []

    async def raft_configuration(self, stale: bool) -> tuple[list[RaftPeer], int]:
        raise NoLeaderError


async def _result_of(ask: Callable[[Callable[[object], None]], None]) -> object:
    """Waits for what ``ask`` hands to its argument. Raises it when it is a PyconsulError."""
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def done(result: object) -> None:
        if not future.done():
            future.set_result(result)

    ask(done)
    result = await future
    if isinstance(result, PyconsulError):
        raise result
    return result
