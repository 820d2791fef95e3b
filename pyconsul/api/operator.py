"""``/v1/operator/…``. docs/reference/operator.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyconsul.api import bodies
from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.codec import json
from pyconsul.codec.duration import SECOND, format_duration, parse_duration
from pyconsul.codec.numbers import parse_uint
from pyconsul.errors import ApplyError, CallerError, DecodeError
from pyconsul.fsm.commands import AutopilotConfigSet
from pyconsul.records.autopilot import AutopilotServer, AutopilotState
from pyconsul.server.backend import ReadMode

NEITHER = "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
BOTH = "Bad request: Must specify only one of ?id or ?address"
NOT_INITIALIZED = "autopilot config not initialized yet"
NO_STATE = "Failed to get autopilot state: no state found"


def _strict_duration(value: Any) -> str:
    """A duration in Go's notation or nanoseconds, in its normal form. An empty text is none."""
    return format_duration(parse_duration(value) if isinstance(value, str) else bodies.integer(value))


AUTOPILOT_FIELDS: bodies.Spec = {
    "cleanupdeadservers": ("CleanupDeadServers", bodies.boolean),
    "lastcontactthreshold": ("LastContactThreshold", _strict_duration),
    "maxtrailinglogs": ("MaxTrailingLogs", bodies.unsigned),
    "minquorum": ("MinQuorum", bodies.unsigned),
    "serverstabilizationtime": ("ServerStabilizationTime", _strict_duration),
    "redundancyzonetag": ("RedundancyZoneTag", bodies.text),
    "disableupgrademigration": ("DisableUpgradeMigration", bodies.boolean),
    "upgradeversiontag": ("UpgradeVersionTag", bodies.text),
    "createindex": ("", bodies.unsigned),
    "modifyindex": ("", bodies.unsigned),
}

AUTOPILOT_ZEROS: dict[str, bool | int | str] = {
    "CleanupDeadServers": False,
    "LastContactThreshold": "0s",
    "MaxTrailingLogs": 0,
    "MinQuorum": 0,
    "ServerStabilizationTime": "0s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": False,
    "UpgradeVersionTag": "",
}
"""What a field that is left out becomes: a PUT replaces all of it."""


# Raft


async def raft_configuration(api: Api, request: Request) -> Response:
    """The Raft peers. ``stale``: as this server knows them, also without a leader."""
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    peers, index = await api.consensus.raft_configuration(options.mode is ReadMode.STALE)
    servers = [
        {
            "ID": peer.id,
            "Node": peer.node,
            "Address": peer.address,
            "Leader": peer.leader,
            "ProtocolVersion": peer.protocol_version,
            "Voter": peer.voter,
            "LastIndex": peer.last_index,
        }
        for peer in peers
    ]
    return json_response({"Servers": servers, "Index": index})


async def remove_peer(api: Api, request: Request) -> Response:
    """Takes a server out of the Raft configuration, by ``id`` or ``address``."""
    query = request.query
    by_id, by_address = "id" in query, "address" in query
    if not by_id and not by_address:
        raise CallerError(NEITHER)
    if by_id and by_address:
        raise CallerError(BOTH)
    api.check_datacenter(query.get("dc"))
    await api.backend.operators.remove_peer(query.get("id") if by_id else None, query.get("address"))
    return Response(200)


async def transfer_leader(api: Api, request: Request) -> Response:
    """Hands leadership to the server ``id``, or to the one that is best fit."""
    api.check_datacenter(request.query.get("dc"))
    await api.backend.operators.transfer_leadership(request.query.get("id"))
    return json_response({"Success": True})


# Autopilot


async def autopilot_configuration(api: Api, request: Request) -> Response:
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    meta = await api.consensus.read(options.mode)
    stored = api.consensus.store.autopilot_config()
    if stored is None:
        missing = CallerError(NOT_INITIALIZED, 500)
        missing.forwarded = meta.forwarded
        raise missing
    fields = {**AUTOPILOT_ZEROS, **stored.config}
    return json_response({**fields, "CreateIndex": stored.create_index, "ModifyIndex": stored.modify_index})


async def set_autopilot_configuration(api: Api, request: Request) -> Response:
    """Replaces the configuration; with ``cas`` only the one with that ModifyIndex. The answer tells whether."""
    try:
        given = bodies.object_fields(json.decode(bodies.read_body(request, api.settings)), AUTOPILOT_FIELDS)
    except DecodeError as error:
        raise CallerError(f"Bad request: Error parsing autopilot config: {error}") from error
    given.pop("", None)  # the indexes in the body
    cas_index = -1
    if "cas" in request.query:
        try:
            cas_index = parse_uint(request.query.get("cas"))
        except DecodeError as error:
            raise CallerError(f"Bad request: Error parsing cas value: {error}") from error
    api.check_datacenter(request.query.get("dc"))
    try:
        written = await api.consensus.write(AutopilotConfigSet({**AUTOPILOT_ZEROS, **given}, cas_index))
    except ApplyError as error:
        raise CallerError(str(error), 500) from error
    return json_response(written)


async def autopilot_health(api: Api, request: Request) -> Response:
    """200, or 429 with the same body while a server is not healthy."""
    state = await _state(api, request)
    if state is None:
        return json_response({"Healthy": False, "FailureTolerance": 0, "Servers": None}, 429)
    answer = {
        "Healthy": state.healthy,
        "FailureTolerance": state.failure_tolerance,
        "Servers": [_health_fields(server) for server in state.servers],
    }
    return json_response(answer, 200 if state.healthy else 429)


async def autopilot_state(api: Api, request: Request) -> Response:
    state = await _state(api, request)
    if state is None:
        raise CallerError(NO_STATE, 500)
    leader = [server.id for server in state.servers if server.leader]
    others = sorted(server.id for server in state.servers if server.voter and not server.leader)
    return json_response(
        {
            "Healthy": state.healthy,
            "FailureTolerance": state.failure_tolerance,
            "OptimisticFailureTolerance": state.failure_tolerance,
            "Servers": {server.id: _state_fields(server) for server in state.servers},
            "Leader": leader[0] if leader else "",
            "Voters": [*(server.id for server in state.servers if server.leader and server.voter), *others],
        }
    )


async def _state(api: Api, request: Request) -> AutopilotState | None:
    """Always the leader's."""
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    return await api.backend.operators.autopilot_state()


def _health_fields(server: AutopilotServer) -> dict[str, Any]:
    return {
        "ID": server.id,
        "Name": server.name,
        "Address": server.address,
        "SerfStatus": server.node_status,
        "Version": server.version,
        "Leader": server.leader,
        "LastContact": format_duration(server.last_contact_ns),
        "LastTerm": server.last_term,
        "LastIndex": server.last_index,
        "Healthy": server.healthy,
        "Voter": server.voter,
        "StableSince": _time(server.stable_since_ns // SECOND * SECOND),
    }


def _state_fields(server: AutopilotServer) -> dict[str, Any]:
    return {
        "ID": server.id,
        "Name": server.name,
        "Address": server.address,
        "NodeStatus": server.node_status,
        "Version": server.version,
        "LastContact": format_duration(server.last_contact_ns),
        "LastTerm": server.last_term,
        "LastIndex": server.last_index,
        "Healthy": server.healthy,
        "StableSince": _time(server.stable_since_ns),
        "ReadReplica": server.read_replica,
        "Status": "leader" if server.leader else "voter" if server.voter else "non-voter",
        "Meta": server.meta,
        "NodeType": "read-replica" if server.read_replica else "voter",
    }


def _time(since_1970_ns: int) -> str:
    """UTC with as many digits after the point as it takes."""
    seconds, fraction_ns = divmod(since_1970_ns, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{fraction_ns:09}".rstrip("0") if fraction_ns else ""
    return f"{text}{fraction}Z"
