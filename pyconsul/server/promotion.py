"""When a non-voter becomes a voter: after it was healthy for the stabilisation time, the first servers at once.

Pure. A server is healthy while gossip calls it alive, the leader heard of it within the contact threshold and its log
is not more than ``max_trailing_logs`` behind (reference/operator.md, "Autopilot").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class ServerHealth(msgspec.Struct, frozen=True):
    """One Raft peer as the leader sees it now."""

    id: str
    voter: bool
    alive: bool
    last_contact_seconds: float
    trailing: int


class PromotionPolicy(msgspec.Struct, frozen=True):
    stabilization_seconds: float = 10.0
    contact_seconds_max: float = 0.2
    trailing_max: int = 250


class Promotion:
    """Remembers since when each server is healthy, for one term of leadership."""

    def __init__(self, policy: PromotionPolicy, leader_since: float) -> None:
        self._policy = policy
        self._leader_since = leader_since
        self._healthy_since: dict[str, float] = {}

    def due(self, now: float, servers: Sequence[ServerHealth]) -> list[str]:
        """Ids of the non-voters that may vote from now on."""
        policy = self._policy
        # Consul's autopilot skips the wait until it has itself been at work for 110 % of it: the servers that are
        # there at the start are the cluster, not newcomers.
        wait = policy.stabilization_seconds if now - self._leader_since > 1.1 * policy.stabilization_seconds else 0.0
        due = []
        for server in servers:
            healthy = (
                server.alive
                and server.last_contact_seconds <= policy.contact_seconds_max
                and server.trailing <= policy.trailing_max
            )
            if not healthy:
                self._healthy_since.pop(server.id, None)
                continue
            since = self._healthy_since.setdefault(server.id, now)
            if not server.voter and now - since >= wait:
                due.append(server.id)
        return due

    def healthy_since(self) -> Mapping[str, float]:
        """Monotonic seconds since when each healthy server is."""
        return self._healthy_since


def removable(dead: Sequence[str], voters: int, min_quorum: int) -> list[str]:
    """Which dead voters may be removed in one go: fewer than half of the voters, and never below ``min_quorum``."""
    allowed = (voters - 1) // 2
    if min_quorum > 0:
        allowed = min(allowed, max(0, voters - min_quorum))
    return list(dead[:allowed]) if len(dead) <= allowed else []
