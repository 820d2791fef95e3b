"""``/v1/session/…``. HTTP reference, "Sessions"."""

from __future__ import annotations

from typing import Any

from pyconsul.api import bodies
from pyconsul.api.blocking import FAILED_READ_HEAD, Wake, Watched, read_head, serve_read
from pyconsul.api.context import Api
from pyconsul.api.errors import APPLY_PREFIX, error_response
from pyconsul.api.kv import TRUE
from pyconsul.api.limits import SESSION_TTL_MAX_NS
from pyconsul.api.params import ReadOptions, read_options, refuse_namespace
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Answer, Response, json_response, text_response
from pyconsul.clock import random_uuid
from pyconsul.codec import json
from pyconsul.codec.duration import SECOND, format_duration, parse_duration
from pyconsul.errors import CallerError, DecodeError, PyconsulError
from pyconsul.fsm.commands import SessionCreate, SessionDestroy
from pyconsul.records.catalog import SERF_CHECK_ID
from pyconsul.records.session import ServiceCheckRef, Session
from pyconsul.server.backend import ReadMeta
from pyconsul.state.store import Store

LOCK_DELAY_DEFAULT_NS = 15 * SECOND
LOCK_DELAY_SECONDS_BELOW = 1000
"""A LockDelay below this many nanoseconds was meant in seconds."""

BEHAVIORS = ("release", "delete")


def session_fields(session: Session) -> dict[str, Any]:
    """A session as JSON shows it."""
    fields: dict[str, Any] = {
        "ID": session.id,
        "Name": session.name,
        "Node": session.node,
        "LockDelay": session.lock_delay_ns,
        "Behavior": session.behavior,
        "TTL": session.ttl,
        "NodeChecks": session.node_checks,
        "ServiceChecks": session.service_checks
        if session.service_checks is None
        else [{"ID": ref.id, "Namespace": ref.namespace} for ref in session.service_checks],
    }
    if session.checks:
        fields["Checks"] = session.checks
    fields["CreateIndex"] = session.create_index
    fields["ModifyIndex"] = session.modify_index
    return fields


class SessionsRead:
    """All sessions."""

    __slots__ = ()

    def index(self, store: Store) -> int:
        return store.sessions.index

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.sessions(wake)

    def sessions(self, store: Store) -> list[Session]:
        return store.sessions.list()

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        body = json.encode([session_fields(session) for session in self.sessions(store)])
        return Response(200, body, JSON_HEAD + read_head(self.index(store), meta), True)


class SessionRead(SessionsRead):
    """One session, by its id."""

    __slots__ = ("session_id",)

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id

    def index(self, store: Store) -> int:
        store.sessions.get(self.session_id)  # complains about what is no id
        return store.sessions.index

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.session(self.session_id, wake)

    def sessions(self, store: Store) -> list[Session]:
        session = store.sessions.get(self.session_id)
        return [session] if session is not None else []


class NodeSessionsRead(SessionsRead):
    """The sessions of a node."""

    __slots__ = ("node",)

    def __init__(self, node: str) -> None:
        self.node = node

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.node_sessions(self.node, wake)

    def sessions(self, store: Store) -> list[Session]:
        return store.sessions.of_node(self.node)


def info(api: Api, request: Request) -> Answer:
    options = _options(api, request)
    return serve_read(api, options, SessionRead(_argument(request, "Missing session")), FAILED_READ_HEAD)


def list_all(api: Api, request: Request) -> Answer:
    return serve_read(api, _options(api, request), SessionsRead(), FAILED_READ_HEAD)


def of_node(api: Api, request: Request) -> Answer:
    options = _options(api, request)
    return serve_read(api, options, NodeSessionsRead(_argument(request, "Missing node name")), FAILED_READ_HEAD)


async def renew(api: Api, request: Request) -> Response:
    options = _options(api, request)
    session_id = _argument(request, "Missing session")
    api.check_datacenter(options.dc)
    session = await api.consensus.renew_session(session_id)
    if session is None:
        return text_response(404, f"Session id '{session_id}' not found")
    return json_response([session_fields(session)])


async def destroy(api: Api, request: Request) -> Response:
    refuse_namespace(request)
    session_id = _argument(request, "Missing session")
    api.check_datacenter(request.query.get("dc"))
    try:
        await api.consensus.write(SessionDestroy(session_id))
    except PyconsulError as error:
        return error_response(error, APPLY_PREFIX)
    return TRUE


async def create(api: Api, request: Request) -> Response:
    refuse_namespace(request)
    session = _session_of_body(api, request)
    api.check_datacenter(request.query.get("dc"))
    try:
        _check(session, api.settings.session_ttl_min_ns)
    except CallerError as error:
        error.forwarded = not api.consensus.is_leader  # the leader's business, which it would have refused
        raise
    try:
        session_id = await api.consensus.write(SessionCreate(session))
    except PyconsulError as error:
        return error_response(error, APPLY_PREFIX)
    return json_response({"ID": session_id})


def _options(api: Api, request: Request) -> ReadOptions:
    options = read_options(request, api.settings.use_cache)
    refuse_namespace(request)
    return options


def _argument(request: Request, missing: str) -> str:
    """The last part of the path; raises CallerError (400) when it is empty."""
    if not request.argument:
        raise CallerError(missing)
    return request.argument_text


def _check(session: Session, ttl_min_ns: int) -> None:
    """Raises CallerError (500) for what is wrong with a session by itself."""
    if not session.node:
        raise CallerError("Must provide Node", 500)
    if session.behavior not in BEHAVIORS:
        raise CallerError(f"Invalid Behavior setting '{session.behavior}'", 500)
    check_ttl(session.ttl, ttl_min_ns)


def check_ttl(ttl: str, minimum_ns: int) -> None:
    """Raises CallerError (500) unless the TTL is within its bounds or none."""
    if not ttl:
        return
    try:
        ttl_ns = parse_duration(ttl)
    except DecodeError as error:
        raise CallerError(f"Session TTL '{ttl}' invalid: {error}", 500) from error
    if ttl_ns != 0 and not minimum_ns <= ttl_ns <= SESSION_TTL_MAX_NS:
        bounds = f"[{format_duration(minimum_ns)}={format_duration(SESSION_TTL_MAX_NS)}]"
        raise CallerError(f"Invalid Session TTL '{ttl_ns}', must be between {bounds}", 500)


def _session_of_body(api: Api, request: Request) -> Session:
    """The session that a body asks for; raises CallerError (400) for bad JSON."""
    fields: dict[str, Any] = {}
    # A body whose length was not announced is none.
    if request.announced:
        try:
            fields = bodies.object_fields(
                json.decode(bodies.read_body(request, api.settings)), SESSION_FIELDS, strict=False
            )
        except DecodeError as error:
            raise CallerError(f"Request decode failed: {error}") from error
    node_checks = fields.get("NodeChecks", [SERF_CHECK_ID])
    checks = fields.get("Checks", [SERF_CHECK_ID])
    if not checks:
        node_checks, checks = [], []
    elif checks == [SERF_CHECK_ID] or not node_checks:
        checks = []
    return Session(
        id=random_uuid(),
        name=fields.get("Name", ""),
        node=fields.get("Node", api.backend.node_name),
        lock_delay_ns=fields.get("LockDelay", LOCK_DELAY_DEFAULT_NS),
        behavior=fields.get("Behavior") or "release",
        ttl=fields.get("TTL", ""),
        node_checks=node_checks,
        service_checks=fields.get("ServiceChecks"),
        checks=checks,
    )


def _lock_delay(value: Any) -> int:
    """Nanoseconds from a duration or a number; other types count as 0."""
    if isinstance(value, str):
        delay_ns = parse_duration(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        delay_ns = max(-(2**63), min(2**63 - 1, int(value)))
    else:
        return 0
    return delay_ns * SECOND if 0 <= delay_ns < LOCK_DELAY_SECONDS_BELOW else delay_ns


def _service_checks(value: Any) -> list[ServiceCheckRef]:
    refs = []
    for item in bodies.a_list(value):
        found = bodies.object_fields(item, {"id": ("ID", bodies.text), "namespace": ("Namespace", bodies.text)}, False)
        refs.append(ServiceCheckRef(found.get("ID", ""), found.get("Namespace", "")))
    return refs


SESSION_FIELDS: bodies.Spec = {
    "name": ("Name", bodies.text),
    "node": ("Node", bodies.text),
    "lockdelay": ("LockDelay", _lock_delay),
    "behavior": ("Behavior", bodies.text),
    "ttl": ("TTL", bodies.text),
    "nodechecks": ("NodeChecks", bodies.nullable(bodies.text_list)),
    "servicechecks": ("ServiceChecks", bodies.nullable(_service_checks)),
    "checks": ("Checks", bodies.nullable(bodies.text_list)),
}
