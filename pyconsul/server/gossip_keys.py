"""Key rotation: a query to all members, and what their answers say together."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.gossip.member import ALIVE, Member
from pyconsul.gossip.queries import QueryOptions
from pyconsul.gossip.serf_messages import KeyRequest, KeyResponse, decode_serf

KeyOperation = Literal["list", "install", "use", "remove"]

_QUERIES: dict[KeyOperation, str] = {
    "list": "_serf_list-keys",
    "install": "_serf_install-key",
    "use": "_serf_use-key",
    "remove": "_serf_remove-key",
}


class Answers(Protocol):
    @property
    def responses(self) -> dict[str, bytes]: ...


class Asker(Protocol):
    """What is needed of a pool."""

    def members(self) -> list[Member]: ...

    async def query(self, name: str, payload: bytes, options: QueryOptions, *, enough: int) -> Answers: ...


class KeyringReport(msgspec.Struct):
    """``messages``: node to text, where a node said something. ``keys``, ``primary_keys``: base64 to the number of
    nodes that have it. ``nodes``: alive members; ``responses``: of them; ``failures``: of the responses.

    ``error``: empty when all members did what was asked.
    """

    messages: dict[str, str]
    keys: dict[str, int]
    primary_keys: dict[str, int]
    nodes: int
    responses: int = 0
    failures: int = 0
    error: str = ""


async def run_key_query(pool: Asker, operation: KeyOperation, key: bytes, relay_factor: int) -> KeyringReport:
    """Raises CallerError when the query cannot be sent."""
    nodes = sum(member.status == ALIVE for member in pool.members())
    options = QueryOptions(relay_factor=relay_factor)
    answers = await pool.query(_QUERIES[operation], KeyRequest(key).encode(), options, enough=nodes)
    report = KeyringReport({}, {}, {}, nodes)
    for node, payload in answers.responses.items():
        report.responses += 1
        _count(report, node, payload)
    if report.failures:
        report.error = f"{report.failures}/{nodes} nodes reported failure"
    elif report.responses != nodes:
        report.error = f"{report.responses}/{nodes} nodes reported success"
    return report


def _count(report: KeyringReport, node: str, payload: bytes) -> None:
    try:
        response = decode_serf(payload)
    except DecodeError as error:
        report.failures += 1
        report.messages[node] = f"bad answer: {error}"
        return
    if not isinstance(response, KeyResponse):
        report.failures += 1
        report.messages[node] = "bad answer: not a key response"
        return
    if not response.result:
        report.failures += 1
    if response.message:
        report.messages[node] = response.message
    for key in response.keys:
        report.keys[key] = report.keys.get(key, 0) + 1
    if response.primary_key:
        report.primary_keys[response.primary_key] = report.primary_keys.get(response.primary_key, 0) + 1
