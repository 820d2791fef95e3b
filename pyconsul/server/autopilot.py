"""What a leader does about the health of the servers: judge it, promote newcomers, let go of the dead. Pure.

A server is healthy while gossip calls it alive, the leader heard of it within the contact threshold, its last entry is
of the leader's term, and its log is not more than ``max_trailing_logs`` behind. How long it has been so decides when a
newcomer gets its vote (docs/reference/operator.md, "Autopilot").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pyconsul.codec.duration import SECOND, parse_duration
from pyconsul.errors import DecodeError
from pyconsul.records.autopilot import AutopilotServer, AutopilotState

DEFAULTS: dict[str, bool | int | str] = {
    "CleanupDeadServers": True,
    "LastContactThreshold": "200ms",
    "MaxTrailingLogs": 250,
    "MinQuorum": 0,
    "ServerStabilizationTime": "10s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": False,
    "UpgradeVersionTag": "",
}
"""A new cluster's configuration, where the first leader's own settings say nothing else."""

ALIVE, LEFT, FAILED, NONE = "alive", "left", "failed", "none"
_STATUS_NAMES = {1: ALIVE, 2: LEFT, 3: LEFT, 4: FAILED}


def status_name(status: int) -> str:
    """The word for a gossip status. A server that is leaving counts as left: it is not to get a vote any more."""
    return _STATUS_NAMES.get(status, NONE)


class Policy(msgspec.Struct, frozen=True):
    """The replicated configuration, as far as it has an effect."""

    cleanup_dead_servers: bool = True
    last_contact_threshold_ns: int = SECOND // 5
    max_trailing_logs: int = 250
    min_quorum: int = 0
    stabilization_ns: int = 10 * SECOND


def policy_of(config: Mapping[str, bool | int | str] | None) -> Policy:
    """The policy in a stored configuration; None, and what cannot be read, stand for the defaults."""
    fields = {**DEFAULTS, **(config or {})}
    return Policy(
        bool(fields["CleanupDeadServers"]),
        _duration(fields["LastContactThreshold"], DEFAULTS["LastContactThreshold"]),
        int(fields["MaxTrailingLogs"]),
        int(fields["MinQuorum"]),
        _duration(fields["ServerStabilizationTime"], DEFAULTS["ServerStabilizationTime"]),
    )


def _duration(value: bool | int | str, default: bool | int | str) -> int:
    try:
        return parse_duration(str(value))
    except DecodeError:
        return parse_duration(str(default))


class Sample(msgspec.Struct, frozen=True):
    """One Raft peer as the leader sees it now. ``last_contact_ns``: age of its last answer; of the leader itself 0."""

    id: str
    name: str
    address: str
    node_status: str
    version: str
    leader: bool
    voter: bool
    read_replica: bool
    last_contact_ns: int
    last_term: int
    last_index: int
    meta: dict[str, str] | None


class Autopilot:
    """One term of leadership. ``now_ns`` is monotonic, ``wall_ns`` counts from 1970."""

    def __init__(self, leader_since_ns: int) -> None:
        self.state: AutopilotState | None = None
        self._leader_since_ns = leader_since_ns
        self._since: dict[str, tuple[bool, int, int]] = {}  # id -> healthy, and monotonic and wall time of the change
        self._dead: set[str] = set()

    def update(self, now_ns: int, wall_ns: int, samples: Sequence[Sample], policy: Policy) -> AutopilotState:
        """Judges the servers anew."""
        leader = next((sample for sample in samples if sample.leader), None)
        servers = []
        since = {}
        for sample in samples:
            healthy = leader is not None and _is_healthy(sample, leader, policy)
            known = self._since.get(sample.id)
            changed = known if known is not None and known[0] == healthy else (healthy, now_ns, wall_ns)
            since[sample.id] = changed
            servers.append(
                AutopilotServer(
                    id=sample.id,
                    name=sample.name,
                    address=sample.address,
                    node_status=sample.node_status,
                    version=sample.version,
                    leader=sample.leader,
                    voter=sample.voter,
                    read_replica=sample.read_replica,
                    last_contact_ns=sample.last_contact_ns,
                    last_term=sample.last_term,
                    last_index=sample.last_index,
                    healthy=healthy,
                    stable_since_ns=changed[2],
                    meta=sample.meta,
                )
            )
        self._since = since
        voters = [server for server in servers if server.voter]
        tolerance = sum(1 for server in voters if server.healthy) - (len(voters) // 2 + 1)
        self.state = AutopilotState(all(server.healthy for server in servers), max(0, tolerance), servers)
        return self.state

    def promotions(self, now_ns: int, policy: Policy) -> list[str]:
        """Ids of the non-voters that may vote from now on."""
        if self.state is None:
            return []
        # The wait is skipped until autopilot has itself been at work for 110 % of it: the servers that are there at the
        # start are the cluster, not newcomers.
        at_work_ns = now_ns - self._leader_since_ns
        wait_ns = policy.stabilization_ns if at_work_ns * 10 > policy.stabilization_ns * 11 else 0
        return [
            server.id
            for server in self.state.servers
            if not server.voter
            and not server.read_replica
            and server.healthy
            and now_ns - self._since[server.id][1] >= wait_ns
        ]

    def removals(self, policy: Policy, unknown_are_gone: bool, at_once: bool) -> list[AutopilotServer]:
        """The dead servers to let go of now: failed, or (``unknown_are_gone``) not known to gossip any more.

        Asked at intervals: a server has to be dead at two of them in a row, so that one that is only restarted stays;
        ``at_once``: a new voter has just taken its place, so that the first time is enough.
        """
        if self.state is None:
            return []
        gone = {FAILED, NONE} if unknown_are_gone else {FAILED}
        dead = [server for server in self.state.servers if server.node_status in gone and not server.leader]
        seen_before, self._dead = self._dead, {server.id for server in dead}
        if not policy.cleanup_dead_servers:
            return []
        return removable(
            [server for server in dead if at_once or server.id in seen_before],
            sum(1 for server in self.state.servers if server.voter),
            policy.min_quorum,
        )


def _is_healthy(sample: Sample, leader: Sample, policy: Policy) -> bool:
    return (
        sample.node_status == ALIVE
        and sample.last_contact_ns <= policy.last_contact_threshold_ns
        and sample.last_term == leader.last_term
        and leader.last_index - sample.last_index <= policy.max_trailing_logs
    )


def removable(dead: Iterable[AutopilotServer], voters: int, min_quorum: int) -> list[AutopilotServer]:
    """Which of the dead may go: of the voters fewer than half, and never so many that fewer than ``min_quorum`` stay.
    Without a vote they hold nobody up, and may all go."""
    left = min((voters - 1) // 2, max(0, voters - min_quorum))
    chosen = []
    for server in dead:
        if server.voter:
            if left == 0:
                continue
            left -= 1
        chosen.append(server)
    return chosen
