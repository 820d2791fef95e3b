"""The endpoints: which path and method leads to which handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyconsul.api import (
    agent,
    agent_checks,
    agent_facts,
    agent_health,
    agent_monitor,
    agent_services,
    catalog,
    coordinate,
    event,
    health,
    keyring,
    kv,
    openapi,
    operator,
    session,
    status,
    txn,
    ui_sessions,
    unavailable,
    usage,
)
from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Answer

Handler = Callable[[Api, Request], Answer]

PREFIX_SLASHES_MAX = 7
"""More slashes than in the longest prefix; what follows them belongs to the argument."""


OF_THE_AGENT = ("/v1/agent/", "/v1/event/list", "/v1/openapi.json")
WITH_INDEX = ("/v1/session/", "/v1/catalog/", "/v1/health/", "/v1/coordinate/", "/v1/internal/ui/")
WITHOUT_INDEX = ("/v1/health/service/", "/v1/catalog/datacenters", "/v1/coordinate/datacenters")


class Route:
    """A path, or with a slash at its end the beginning of paths. Methods in the order in which ``Allow`` names them.

    ``asks_cluster``: what it needs counts against the rate of requests. ``tells_index``: its errors have an index too.
    """

    __slots__ = ("allow", "asks_cluster", "handlers", "path", "tells_index")

    def __init__(self, path: str, **handlers: Handler) -> None:
        self.path = path.encode()
        self.handlers = {method.encode(): handler for method, handler in handlers.items()}
        self.allow = b",".join([b"OPTIONS", *self.handlers])
        self.asks_cluster = not path.startswith(OF_THE_AGENT)
        self.tells_index = path.startswith(WITH_INDEX) and path not in WITHOUT_INDEX


class Router:
    """Looks routes up: exact paths first, then the longest prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[bytes, Route] = {}
        self._prefixes: dict[bytes, Route] = {}
        for route in routes:
            (self._prefixes if route.path.endswith(b"/") else self._exact)[route.path] = route
        self._kv = self._prefixes.get(b"/v1/kv/")

    def find(self, path: bytes) -> tuple[Route, int] | None:
        """The route, and where its argument begins."""
        if self._kv is not None and path.startswith(b"/v1/kv/"):
            return self._kv, 7
        route = self._exact.get(path)
        if route is not None:
            return route, len(path)
        ends: list[int] = []
        at = path.find(b"/", 1)
        while at > 0 and len(ends) < PREFIX_SLASHES_MAX:
            ends.append(at + 1)
            at = path.find(b"/", at + 1)
        for end in reversed(ends):
            route = self._prefixes.get(path[:end])
            if route is not None:
                return route, end
        return None

    def is_prefix(self, path: bytes) -> bool:
        return path in self._prefixes


ROUTES: tuple[Route, ...] = (
    Route("/v1/kv/", GET=kv.get, PUT=kv.put, DELETE=kv.delete),
    Route("/v1/session/create", PUT=session.create),
    Route("/v1/session/destroy/", PUT=session.destroy),
    Route("/v1/session/renew/", PUT=session.renew),
    Route("/v1/session/info/", GET=session.info),
    Route("/v1/session/node/", GET=session.of_node),
    Route("/v1/session/list", GET=session.list_all),
    Route("/v1/internal/ui/sessions", GET=ui_sessions.sessions),
    Route("/v1/internal/acl/authorize", POST=unavailable.acls),
    Route("/v1/txn", PUT=txn.transaction),
    Route("/v1/event/fire/", PUT=event.fire),
    Route("/v1/event/list", GET=event.list_events),
    Route("/v1/status/leader", GET=status.leader),
    Route("/v1/status/peers", GET=status.peers),
    Route("/v1/catalog/datacenters", GET=status.datacenters),
    Route("/v1/catalog/register", PUT=catalog.register),
    Route("/v1/catalog/deregister", PUT=catalog.deregister),
    Route("/v1/catalog/nodes", GET=catalog.nodes),
    Route("/v1/catalog/node/", GET=catalog.node),
    Route("/v1/catalog/services", GET=catalog.services),
    Route("/v1/catalog/service/", GET=catalog.service),
    Route("/v1/health/node/", GET=health.node),
    Route("/v1/health/checks/", GET=health.checks),
    Route("/v1/health/service/", GET=health.service),
    Route("/v1/health/state/", GET=health.state),
    Route("/v1/openapi.json", GET=openapi.openapi),
    Route("/v1/agent/self", GET=agent.self_info),
    Route("/v1/agent/members", GET=agent.members),
    Route("/v1/agent/join/", PUT=agent.join),
    Route("/v1/agent/leave", PUT=agent.leave),
    Route("/v1/agent/force-leave/", PUT=agent.force_leave),
    Route("/v1/agent/reload", PUT=agent.reload),
    Route("/v1/agent/host", GET=agent_facts.host),
    Route("/v1/agent/metrics", GET=agent_facts.metrics),
    Route("/v1/agent/monitor", GET=agent_monitor.monitor),
    Route("/v1/agent/services", GET=agent_services.list_all),
    Route("/v1/agent/service/", GET=agent_services.one),
    Route("/v1/agent/service/register", PUT=agent_services.register),
    Route("/v1/agent/service/deregister/", PUT=agent_services.deregister),
    Route("/v1/agent/service/maintenance/", PUT=agent_checks.service_maintenance),
    Route("/v1/agent/checks", GET=agent_checks.list_all),
    Route("/v1/agent/check/register", PUT=agent_checks.register),
    Route("/v1/agent/check/deregister/", PUT=agent_checks.deregister),
    Route("/v1/agent/check/pass/", PUT=agent_checks.pass_),
    Route("/v1/agent/check/warn/", PUT=agent_checks.warn),
    Route("/v1/agent/check/fail/", PUT=agent_checks.fail),
    Route("/v1/agent/check/update/", PUT=agent_checks.update),
    Route("/v1/agent/health/service/id/", GET=agent_health.by_id),
    Route("/v1/agent/health/service/name/", GET=agent_health.by_name),
    Route("/v1/agent/token/", PUT=unavailable.acls),
    Route("/v1/agent/connect/ca/roots", GET=unavailable.connect),
    Route("/v1/agent/connect/ca/leaf/", GET=unavailable.connect),
    Route("/v1/agent/maintenance", PUT=agent_checks.node_maintenance),
    Route("/v1/coordinate/datacenters", GET=coordinate.datacenters),
    Route("/v1/coordinate/nodes", GET=coordinate.nodes),
    Route("/v1/coordinate/node/", GET=coordinate.node),
    Route("/v1/coordinate/update", PUT=coordinate.update),
    Route("/v1/operator/keyring", GET=keyring.list_keys, POST=keyring.install, PUT=keyring.use, DELETE=keyring.remove),
    Route("/v1/operator/raft/configuration", GET=operator.raft_configuration),
    Route("/v1/operator/raft/peer", DELETE=operator.remove_peer),
    Route("/v1/operator/raft/transfer-leader", PUT=operator.transfer_leader, POST=operator.transfer_leader),
    Route(
        "/v1/operator/autopilot/configuration",
        GET=operator.autopilot_configuration,
        PUT=operator.set_autopilot_configuration,
    ),
    Route("/v1/operator/autopilot/health", GET=operator.autopilot_health),
    Route("/v1/operator/usage", GET=usage.usage),
    Route("/v1/operator/autopilot/state", GET=operator.autopilot_state),
)
