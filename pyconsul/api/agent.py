"""``/v1/agent/…``: facts about this agent, and its place in the gossip pool."""

from __future__ import annotations

from typing import Any

from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.errors import CallerError, ConfigError
from pyconsul.server.backend import MemberInfo

EMPTY = Response(200)


def member_fields(member: MemberInfo) -> dict[str, Any]:
    """A member as JSON shows it."""
    return {
        "Name": member.name,
        "Addr": member.address,
        "Port": member.port,
        "Tags": member.tags,
        "Status": member.status,
        "ProtocolMin": member.protocol_min,
        "ProtocolMax": member.protocol_max,
        "ProtocolCur": member.protocol_cur,
        "DelegateMin": member.delegate_min,
        "DelegateMax": member.delegate_max,
        "DelegateCur": member.delegate_cur,
    }


def self_info(api: Api, request: Request) -> Response:
    return json_response(api.backend.agent.self_info())


def members(api: Api, request: Request) -> Response:
    wan = bool(request.query.get("wan"))
    segment = request.query.get("segment")
    if segment not in ("", "_all"):
        if wan:
            raise CallerError("Cannot provide a segment with wan=true")
        raise CallerError("Network segments are not supported in this version of Consul", 500)
    return json_response([member_fields(member) for member in api.backend.agent.members(wan)])


async def join(api: Api, request: Request) -> Response:
    await api.backend.agent.join(request.argument_text, bool(request.query.get("wan")))
    return EMPTY


async def leave(api: Api, request: Request) -> Response:
    await api.backend.agent.leave()
    return EMPTY


async def force_leave(api: Api, request: Request) -> Response:
    await api.backend.agent.force_leave(request.argument_text, "prune" in request.query)
    return EMPTY


async def reload(api: Api, request: Request) -> Response:
    try:
        await api.backend.agent.reload()
    except ConfigError as error:
        raise CallerError(str(error), 500) from error
    return EMPTY
