"""``/v1/operator/keyring``: the keys of gossip encryption on all members. docs/reference/operator.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pyconsul.api import bodies
from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.codec import json
from pyconsul.codec.numbers import parse_bool, quote
from pyconsul.errors import CallerError, DecodeError
from pyconsul.server.backend import KeyringAnswer

RELAY_FACTOR_MAX = 5
EMPTY = Response(200)
_is_number = re.compile(r"[+-]?[0-9]{1,18}").fullmatch

KEY_FIELDS: bodies.Spec = {
    "key": ("Key", bodies.text),
    "token": ("Token", bodies.ignored),
    "relayfactor": ("RelayFactor", bodies.unsigned),
    "localonly": ("LocalOnly", bodies.ignored),
}


async def list_keys(api: Api, request: Request) -> Response:
    relay_factor = _relay_factor(request)
    answers = await api.backend.agent.keyring("list", "", relay_factor, _local_only(request))
    _raise_errors(answers)
    return json_response([_fields(answer) for answer in answers])


async def install(api: Api, request: Request) -> Response:
    return await _change(api, request, "install")


async def use(api: Api, request: Request) -> Response:
    return await _change(api, request, "use")


async def remove(api: Api, request: Request) -> Response:
    return await _change(api, request, "remove")


async def _change(api: Api, request: Request, operation: str) -> Response:
    try:
        fields = bodies.object_fields(json.decode(bodies.read_body(request, api.settings)), KEY_FIELDS)
    except DecodeError as error:
        raise CallerError(f"Bad request: Request decode failed: {error}") from error
    relay_factor = _relay_factor(request)
    if _local_only(request):
        raise CallerError("Bad request: Invalid use of local-only: local-only can only be set for list requests")
    _raise_errors(await api.backend.agent.keyring(operation, fields.get("Key", ""), relay_factor, False))
    return EMPTY


def _relay_factor(request: Request) -> int:
    text = request.query.get("relay-factor")
    if not text:
        return 0
    if not _is_number(text):
        why = f"strconv.Atoi: parsing {quote(text)}: invalid syntax"
        raise CallerError(f"Bad request: Error parsing relay factor: {why}")
    if not 0 <= int(text) <= RELAY_FACTOR_MAX:
        raise CallerError(f"Bad request: Invalid relay-factor: Relay factor must be in range: [0, {RELAY_FACTOR_MAX}]")
    return int(text)


def _local_only(request: Request) -> bool:
    text = request.query.get("local-only")
    if not text:
        return False
    try:
        return parse_bool(text)
    except DecodeError as error:
        raise CallerError(f"Bad request: Error parsing local-only: {error}") from error


def _fields(answer: KeyringAnswer) -> dict[str, Any]:
    fields: dict[str, Any] = {"WAN": answer.wan, "Datacenter": answer.datacenter, "Segment": ""}
    if answer.messages:
        fields["Messages"] = answer.messages
    return fields | {"Keys": answer.keys, "PrimaryKeys": answer.primary_keys, "NumNodes": answer.nodes}


def _raise_errors(answers: Sequence[KeyringAnswer]) -> None:
    """Raises CallerError (500) with all that went wrong in any pool."""
    texts = []
    for answer in answers:
        if answer.error:
            pool = "WAN" if answer.wan else f"{answer.datacenter} (LAN)"
            texts.append(f"{pool} error: {answer.error}")
            texts += [f"{node}: {message}" for node, message in sorted(answer.messages.items())]
    if texts:
        head = f"{len(texts)} error{'' if len(texts) == 1 else 's'} occurred:"
        raise CallerError(head + "".join(f"\n\t* {text}" for text in texts) + "\n\n", 500)
