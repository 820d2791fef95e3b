"""What a leader does beside replication, as long as it leads: members into the catalog and Raft, and autopilot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from pyconsul.clock import Clock
from pyconsul.errors import PyconsulError
from pyconsul.fsm.commands import AnyCommand, AutopilotConfigSet
from pyconsul.log import pairs
from pyconsul.raft.config import AddNonVoter, AddVoter
from pyconsul.raft.config import RemoveServer as RemovePeer
from pyconsul.server.autopilot import DEFAULTS
from pyconsul.server.autopilot_work import FIRST_LOOK_SECONDS, AutopilotWork
from pyconsul.server.config import ServerConfig
from pyconsul.server.membership import Membership
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.server.reconcile import (
    Action,
    AddServer,
    MemberView,
    RemoveServer,
    gone_actions,
    member_actions,
    reaped_actions,
)

RECONCILE_SECONDS = 60.0
AGAIN_SECONDS = 0.2
"""Pause before what could not be done now is tried again."""

# A new leader may itself have just started: so long a member that gossip does not know yet is not taken for gone.
GONE_GRACE_SECONDS = 120.0


class LeaderLoop:
    """Made when leadership begins; ``run`` is cancelled when it ends."""

    def __init__(
        self,
        config: ServerConfig,
        raft: RaftLoop,
        clock: Clock,
        logger: logging.Logger,
        membership: Callable[[], Membership | None],
        write: Callable[[AnyCommand], Awaitable[object]],
    ) -> None:
        self.autopilot = AutopilotWork(
            raft, clock, logger.getChild("autopilot"), config.tick_seconds, membership
        )  # fmt: skip
        self._config = config
        self._raft = raft
        self._clock = clock
        self._logger = logger
        self._membership = membership
        self._write = write
        self._wanted = asyncio.Event()
        self._gone_from = clock.monotonic() + GONE_GRACE_SECONDS

    def reconcile_soon(self) -> None:
        """A member changed."""
        self._wanted.set()

    async def run(self) -> None:
        await self._begin_autopilot()
        membership = self._membership()
        if membership is not None:
            membership.leader_elected(self._config.node_name)
        reconcile_at = 0.0
        look_at = self._clock.monotonic() + FIRST_LOOK_SECONDS
        while True:
            now = self._clock.monotonic()
            if self._wanted.is_set() or now >= reconcile_at:
                self._wanted.clear()
                reconcile_at = now + RECONCILE_SECONDS
                await self._begin_autopilot()
                await self._reconcile()
            if now >= look_at:
                look_at = now + await self.autopilot.look()
            pause = max(0.0, min(look_at, reconcile_at) - self._clock.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), pause)

    async def _begin_autopilot(self) -> None:
        """The first leader writes the configuration, as soon as its disk takes it."""
        if self._raft.machine.store.autopilot_config() is None:
            await self._act(AutopilotConfigSet({**DEFAULTS, **self._config.autopilot}, 0), "")

    async def members_reaped(self, members: Sequence[MemberView]) -> None:
        """Gossip has forgotten these."""
        core = self._raft.core
        for action in reaped_actions(members, self._raft.machine.store, core.configuration, core.id):
            await self._act(action, "")

    async def _reconcile(self) -> None:
        membership = self._membership()
        if membership is None:
            return
        core = self._raft.core
        members = membership.views()
        for member in members:
            store = self._raft.machine.store
            for action in member_actions(member, store, core.configuration, core.id, self._config.datacenter):
                await self._act(action, member.name)
        if self._clock.monotonic() < self._gone_from:
            return
        known = {member.name: member for member in members}
        for action in gone_actions(known, self._raft.machine.store, core.configuration, core.id):
            await self._act(action, "")

    async def _act(self, action: Action | AutopilotConfigSet, member: str) -> None:
        core = self._raft.core
        try:
            if isinstance(action, AddServer):
                server = action.server
                self._logger.info("adding server to raft", extra=pairs(id=server.id, address=server.address))
                change = AddVoter(server.id, server.address) if server.voter else AddNonVoter(server.id, server.address)
                core.propose_configuration(change)
                self._raft.wake()
            elif isinstance(action, RemoveServer):
                self._logger.info("removing server from raft", extra=pairs(id=action.id))
                core.propose_configuration(RemovePeer(action.id))
                self._raft.wake()
            else:
                if member:
                    self._logger.info("member changed, updating catalog", extra=pairs(member=member))
                await self._write(action)
        except PyconsulError as error:
            # One change of the configuration at a time, and a leader may be deposed at any moment: the next round of
            # reconciliation finds what is still to be done.
            self._logger.debug("reconciliation is put off", extra=pairs(action=type(action).__name__, error=error))
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._wanted.set)
