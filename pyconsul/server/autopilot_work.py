"""Autopilot at work: gathers what is known of the servers, and carries out what autopilot.py decides."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pyconsul.clock import Clock
from pyconsul.codec.duration import SECOND
from pyconsul.errors import PyconsulError
from pyconsul.log import pairs
from pyconsul.raft.config import AddVoter, RemoveServer
from pyconsul.records.autopilot import AutopilotServer, AutopilotState
from pyconsul.server.autopilot import NONE, Autopilot, Policy, Sample, policy_of, status_name
from pyconsul.server.config import HEARTBEAT_TICKS
from pyconsul.server.membership import Membership
from pyconsul.server.raft_loop import RaftLoop

FIRST_LOOK_SECONDS = 0.5
"""A new leader first hears its followers."""

LOOK_SECONDS = 2.0
NEWCOMER_LOOK_SECONDS = 1.0
"""How often the state is renewed; the second one while a server waits for its vote."""

CLEANUP_SECONDS = 10.0
UNKNOWN_GRACE_SECONDS = 120.0
"""A leader may itself have just started: so long a server that gossip does not know yet is not taken for gone."""


class AutopilotWork:
    """One term of leadership; ``look`` is called as often as it says itself."""

    def __init__(
        self,
        raft: RaftLoop,
        clock: Clock,
        logger: logging.Logger,
        tick_seconds: float,
        membership: Callable[[], Membership | None],
    ) -> None:
        self._raft = raft
        self._clock = clock
        self._logger = logger
        self._tick_seconds = tick_seconds
        self._membership = membership
        now = clock.monotonic()
        self._autopilot = Autopilot(int(now * SECOND))
        self._cleanup_at = now + CLEANUP_SECONDS
        self._unknown_gone_from = now + UNKNOWN_GRACE_SECONDS
        self._promoted: str = ""

    @property
    def state(self) -> AutopilotState | None:
        return self._autopilot.state

    def policy(self) -> Policy:
        """The replicated configuration as it is now."""
        stored = self._raft.machine.store.autopilot_config()
        return policy_of(None if stored is None else stored.config)

    async def look(self) -> float:
        """Judges the servers and acts; returns after how many seconds to look again."""
        membership = self._membership()
        if membership is None:
            return LOOK_SECONDS
        now = self._clock.monotonic()
        policy = self.policy()
        before = self.state
        state = self._autopilot.update(int(now * SECOND), int(self._clock.wall() * SECOND), self._samples(), policy)
        self._tell(before, state)
        self._promote(int(now * SECOND), policy)
        replaced = self._has_replacement(state)
        if replaced or now >= self._cleanup_at:
            self._cleanup_at = now + CLEANUP_SECONDS
            for server in self._autopilot.removals(policy, now >= self._unknown_gone_from, replaced):
                await self._remove(membership, server)
        waiting = any(not server.voter and not server.read_replica for server in state.servers)
        return NEWCOMER_LOOK_SECONDS if waiting else LOOK_SECONDS

    def _samples(self) -> list[Sample]:
        core = self._raft.core
        catalog = self._raft.machine.store.catalog
        membership = self._membership()
        known = {server.id: server for server in membership.servers()} if membership is not None else {}
        progress = core.progress()
        samples = []
        for server in core.configuration.servers:
            info = known.get(server.id)
            peer = progress.get(server.id)
            leads = server.id == core.id
            index = core.last_index if leads else peer.match if peer is not None else 0
            # A heartbeat's interval passes between two contacts of a follower that answers each at once.
            ticks = 0 if leads or peer is None else max(0, core.ticks - peer.last_contact - HEARTBEAT_TICKS)
            node = catalog.node(info.name) if info is not None else None
            samples.append(
                Sample(
                    id=server.id,
                    name=info.name if info is not None else "(unknown)",
                    address=server.address,
                    node_status=status_name(info.status) if info is not None else NONE,
                    version=info.build if info is not None else "",
                    leader=leads,
                    voter=server.voter,
                    read_replica=info is not None and info.read_replica,
                    last_contact_ns=int(ticks * self._tick_seconds * SECOND),
                    last_term=core.log.term(index) or 0,
                    last_index=index,
                    meta=node.meta if node is not None else None,
                )
            )
        return samples

    def _tell(self, before: AutopilotState | None, state: AutopilotState) -> None:
        old = {server.id: server.healthy for server in before.servers} if before is not None else {}
        for server in state.servers:
            if old.get(server.id, True) != server.healthy:
                self._logger.info(
                    "server is healthy again" if server.healthy else "server is not healthy",
                    extra=pairs(
                        id=server.id,
                        name=server.name,
                        status=server.node_status,
                        trails_by=max(0, self._raft.core.last_index - server.last_index),
                    ),
                )

    def _promote(self, now_ns: int, policy: Policy) -> None:
        core = self._raft.core
        for id_ in self._autopilot.promotions(now_ns, policy):
            server = next((each for each in core.configuration.servers if each.id == id_), None)
            if server is None or core.role != "leader":
                return
            try:
                core.propose_configuration(AddVoter(id_, server.address))
            except PyconsulError as error:  # one change at a time; the next look comes soon
                self._logger.debug("promotion is put off", extra=pairs(id=id_, error=error))
                return
            self._logger.info("promoting server to voter", extra=pairs(id=id_, address=server.address))
            self._promoted = id_
            self._raft.wake()

    def _has_replacement(self, state: AutopilotState) -> bool:
        """Whether the server that was promoted last now votes, which is told once."""
        done = any(server.id == self._promoted and server.voter for server in state.servers)
        if done:
            self._promoted = ""
        return done

    async def _remove(self, membership: Membership, server: AutopilotServer) -> None:
        if server.node_status == NONE:
            self._logger.info("removing server that nobody knows any more", extra=pairs(id=server.id))
            try:
                self._raft.core.propose_configuration(RemoveServer(server.id))
            except PyconsulError as error:  # one change at a time; the next clean-up tries again
                self._logger.debug("removal is put off", extra=pairs(id=server.id, error=error))
            self._raft.wake()
            return
        # Reconciliation takes it out of Raft and the catalog, as after any leave.
        self._logger.info("attempting removal of failed server", extra=pairs(id=server.id, name=server.name))
        await membership.force_leave(server.name)
