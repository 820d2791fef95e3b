"""The endpoints of a client agent: those about the agent itself as on a server, all others passed on to a server.

Paths, methods, blocked endpoints and networks are judged here, so that a server sees only what this agent allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pyconsul.api.context import Api
from pyconsul.api.errors import error_response
from pyconsul.api.request import Request
from pyconsul.api.response import Answer, Deferred, Response
from pyconsul.api.routes import Handler, Route
from pyconsul.errors import PyconsulError
from pyconsul.server.client_http import HttpAnswer

LOCAL_PREFIX = b"/v1/agent/"
LOCAL_PATHS = (b"/v1/event/list", b"/v1/operator/keyring")


class Exchange(Protocol):
    """A request that is being answered elsewhere."""

    def cancel(self) -> None: ...

    def hurry(self) -> None: ...


Send = Callable[[Request, Callable[[HttpAnswer | PyconsulError], None]], Exchange]
"""Passes a request on; the callback is called once, never within the call."""


class ForwardedAnswer(Deferred):
    """The answer of a server, when it comes."""

    __slots__ = ("_exchange",)

    def __init__(self, send: Send, request: Request) -> None:
        super().__init__()
        self._exchange = send(request, self._answered)

    def cancel(self) -> None:
        self._exchange.cancel()
        super().cancel()

    def _answered(self, result: HttpAnswer | PyconsulError) -> None:
        if isinstance(result, PyconsulError):
            self.resolve(error_response(result))
        else:
            self.resolve(Response(result.status, result.body, result.head, result.is_json))


class ForwardedWait(ForwardedAnswer):
    """A read that waits for news."""

    __slots__ = ()

    def hurry(self) -> None:
        self._exchange.hurry()


def client_routes(routes: Iterable[Route], send: Send) -> list[Route]:
    """The routes of a client agent."""

    def forward(api: Api, request: Request) -> Answer:
        waits = request.method == b"GET" and request.query.get("index") not in ("", "0")
        return (ForwardedWait if waits else ForwardedAnswer)(send, request)

    found = []
    for route in routes:
        if route.path.startswith(LOCAL_PREFIX) or route.path in LOCAL_PATHS:
            found.append(route)
        else:
            handlers: dict[str, Handler] = {method.decode(): forward for method in route.handlers}
            found.append(Route(route.path.decode(), **handlers))
    return found
