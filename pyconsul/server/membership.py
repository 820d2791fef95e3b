"""The LAN members as a server needs them: who is a server, and what the catalog should say of each."""

from __future__ import annotations

from typing import Protocol

from pyconsul.gossip.member import Member
from pyconsul.server.reconcile import MemberView
from pyconsul.server.server_tags import ServerInfo, parse_server


class Pool(Protocol):
    """What is needed of a gossip pool."""

    @property
    def running(self) -> bool: ...

    def members(self) -> list[Member]: ...

    def fire_event(self, name: str, payload: bytes, coalesce: bool) -> None: ...

    async def force_leave(self, name: str, prune: bool) -> bool: ...


class Membership:
    """A view of one pool; nothing is kept."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def servers(self) -> list[ServerInfo]:
        """All members that are servers, of any status."""
        found = (server_of(member) for member in self._pool.members())
        return [server for server in found if server is not None]

    def views(self) -> list[MemberView]:
        """All members as reconciliation sees them."""
        return [view_of(member) for member in self._pool.members()]

    def leader_elected(self, node_name: str) -> None:
        """Tells everybody who leads; nobody when gossip has not started yet, as then nobody is known."""
        if not self._pool.running:
            return
        self._pool.fire_event("consul:new-leader", node_name.encode(), False)

    async def force_leave(self, name: str) -> None:
        """Tells everybody that a failed member will not come back."""
        if self._pool.running:
            await self._pool.force_leave(name, False)


def server_of(member: Member) -> ServerInfo | None:
    return parse_server(member.name, member.address_text, member.status, member.tags)


def view_of(member: Member) -> MemberView:
    return MemberView(
        name=member.name,
        id=member.tags.get("id", ""),
        host=member.address_text,
        role=member.tags.get("role", ""),
        datacenter=member.tags.get("dc", ""),
        status=member.status,
        server=server_of(member),
        serf_versions=(member.protocol_cur, member.protocol_min, member.protocol_max),
    )
