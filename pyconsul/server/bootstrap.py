"""When servers that were told how many to expect start their first election: a pure decision over the members.

Rules: design/gossip.md, "Bootstrap". A server that leads, or has a log, is never bootstrapped again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyconsul.raft.messages import Configuration, Server
from pyconsul.server.server_tags import ServerInfo


class Wait(msgspec.Struct, frozen=True):
    """Not yet; ``why`` is for the log."""

    why: str


class Conflict(msgspec.Struct, frozen=True):
    """Servers disagree; an operator has to act. Looked at again on the next join."""

    why: str


class AskPeers(msgspec.Struct, frozen=True):
    """Enough servers are known: ask each whether it already has peers, and bootstrap with ``configuration`` if none."""

    configuration: Configuration


Decision = Wait | Conflict | AskPeers


def decide(expect: int, datacenter: str, servers: Sequence[ServerInfo]) -> Decision:
    """The decision of a server with an empty log and ``bootstrap_expect = expect`` that knows these servers.

    ``servers``: all members that are servers, of any status, itself included.
    """
    same = [server for server in servers if server.datacenter == datacenter]
    for server in same:
        if server.expect not in (0, expect):
            return Conflict(
                f"Member has a conflicting expect value. All nodes should expect the same number: "
                f"member={server.name} expect={server.expect} ours={expect}"
            )
        if server.bootstrap:
            return Conflict(f"Member has bootstrap mode. Expect disabled: member={server.name}")
    voters = sum(1 for server in same if not server.read_replica)
    if voters < expect:
        return Wait(f"{voters} of {expect} expected servers are known")
    return AskPeers(
        Configuration(
            tuple(
                Server(server.id, server.rpc_address, not server.read_replica)
                for server in sorted(same, key=lambda each: each.id)
            )
        )
    )
