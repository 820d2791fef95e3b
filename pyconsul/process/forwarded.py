"""A server answers HTTP requests that client agents passed on: the API once more, without the HTTP in front of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, cast

import msgspec

from pyconsul.api.app import App
from pyconsul.api.context import AgentBackend, Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.api.response import Answer, Deferred, Response
from pyconsul.clock import Clock, Random
from pyconsul.errors import PyconsulError
from pyconsul.fsm.commands import AnyCommand
from pyconsul.records.session import Session
from pyconsul.server.backend import ConsensusApi, RaftPeer, ReadMeta, ReadMode
from pyconsul.server.client_http import Done, HttpCall

APPS_MAX = 256
"""Client agents whose view of the API is kept."""


class ForwardedConsensus:
    """The consensus of this server for a request that came by another agent: its errors say so, as Consul's do."""

    is_leader = False  # a refusal by the leader itself is one of another server too

    def __init__(self, inner: ConsensusApi) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        meta = self._inner.read_now(mode)
        return meta if meta is None or meta.forwarded else msgspec.structs.replace(meta, forwarded=True)

    async def read(self, mode: ReadMode) -> ReadMeta:
        try:
            return msgspec.structs.replace(await self._inner.read(mode), forwarded=True)
        except PyconsulError as error:
            raise _forwarded(error)  # noqa: B904 - the same error

    def submit(self, command: AnyCommand, done: Any) -> None:
        def mark(result: object) -> None:
            done(_forwarded(result) if isinstance(result, PyconsulError) else result)

        self._inner.submit(command, mark)

    async def write(self, command: AnyCommand) -> object:
        try:
            return await self._inner.write(command)
        except PyconsulError as error:
            raise _forwarded(error)  # noqa: B904 - the same error

    async def renew_session(self, session_id: str) -> Session | None:
        try:
            return await self._inner.renew_session(session_id)
        except PyconsulError as error:
            raise _forwarded(error)  # noqa: B904 - the same error

    async def raft_configuration(self, stale: bool) -> tuple[list[RaftPeer], int]:
        try:
            return await self._inner.raft_configuration(stale)
        except PyconsulError as error:
            raise _forwarded(error)  # noqa: B904 - the same error


def _forwarded(error: PyconsulError) -> PyconsulError:
    error.forwarded = True
    return error


class ForwardedBackend:
    """This server as a client agent's requests see it: what is not said belongs to that agent's node."""

    def __init__(self, inner: AgentBackend, node_name: str) -> None:
        self._inner = inner
        self.node_name = node_name
        self.consensus = ForwardedConsensus(inner.consensus)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ForwardedApi(Api):
    """Its own errors, too, are those of another server for who asked."""

    def check_datacenter(self, name: str) -> None:
        try:
            super().check_datacenter(name)
        except PyconsulError as error:
            raise _forwarded(error)  # noqa: B904 - the same error


class ForwardedHttp:
    """``serve`` for the HttpService. Blocked endpoints and networks are the client agent's business and not looked at
    again; limits of sizes are this server's."""

    def __init__(self, backend: AgentBackend, settings: HttpSettings, clock: Clock, random: Random) -> None:
        self._backend = backend
        self._clock = clock
        self._random = random
        self._apps: OrderedDict[str, App] = OrderedDict()
        self.configure(settings)

    def configure(self, settings: HttpSettings) -> None:
        """Takes new settings for all requests from now on."""
        self._settings = msgspec.structs.replace(
            settings, block_endpoints=[], allow_write_http_from=[], response_headers={}, ui_enabled=False
        )
        self._apps.clear()

    def serve(self, call: HttpCall, done: Done) -> Serving:
        app = self._app(call.node)
        request = Request(call.method, call.target, call.headers, call.body, call.announced)
        return Serving(app, app.handle(request), done)

    def _app(self, node: str) -> App:
        app = self._apps.get(node)
        if app is None:
            backend = cast(AgentBackend, ForwardedBackend(self._backend, node))
            app = App(ForwardedApi(backend, self._settings, EventBuffer(), self._clock, self._random))
            self._apps[node] = app
            if len(self._apps) > APPS_MAX:
                self._apps.popitem(last=False)
        else:
            self._apps.move_to_end(node)
        return app


class Serving:
    """One request while it is answered."""

    __slots__ = ("_app", "_deferred", "_done", "_task")

    def __init__(self, app: App, answer: Answer, done: Done) -> None:
        self._app = app
        self._done = done
        self._deferred: Deferred | None = None
        self._task: asyncio.Task[None] | None = None
        self._take(answer)

    def cancel(self) -> None:
        if self._deferred is not None:
            self._deferred.cancel()
        if self._task is not None:
            self._task.cancel()

    def hurry(self) -> None:
        if self._deferred is not None:
            self._deferred.hurry()

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Response):
            self._answered(answer)
        elif isinstance(answer, Deferred):
            self._deferred = answer
            answer.then(self._answered)
        else:
            self._task = asyncio.get_running_loop().create_task(self._run(answer))

    async def _run(self, coroutine: Any) -> None:
        try:
            answer = await coroutine
        except Exception as error:
            answer = self._app.failed(error)
        self._task = None
        self._take(answer)

    def _answered(self, response: Response) -> None:
        self._deferred = None
        self._done(response.status, response.head, response.is_json, response.body)
