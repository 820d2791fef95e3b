"""A server agent in the simulator: the real one (process/agent.py) with gossip, without HTTP and local services.

Real: how gossip events reach the server, joining and joining again, rejoining by the member snapshot, leaving in order.
"""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from world import Process

from pyconsul.gossip.context import GossipEvent
from pyconsul.process.agent import Agent
from pyconsul.process.joining import RetryJoin
from pyconsul.server.gossip_config import GossipConfig, lan_merge_check
from pyconsul.server.gossip_loop import GossipPool
from pyconsul.server.membership import Membership
from pyconsul.server.node import ConsensusServer
from pyconsul.server.server_tags import server_tags

if TYPE_CHECKING:
    from sim_gossip_judge import GossipJudge
    from sim_node import Node

SERF_PORT = 8301
DRAIN_SECONDS = 0.5
"""Between leaving gossip and ending (``leave_drain_time``, 5 s in real life)."""


class SimAgent(Agent):
    """One life of it."""

    def __init__(self, owner: Node, server: ConsensusServer, process: Process, logger: logging.Logger) -> None:
        # Not Agent's: that makes the parts for HTTP and for local services too.
        cluster, settings = owner.cluster, server.config
        self.config: Any = SimpleNamespace(leave_drain_seconds=DRAIN_SECONDS)
        self.node_id = settings.node_id
        self.node_name = settings.node_name
        self.datacenter = settings.datacenter
        self.ended = asyncio.Event()
        self.exit_code = 0
        self.wan = None
        self.local: Any = SimpleNamespace(sync_soon=lambda: None)
        self._server = server
        self._logger = self._part_logger = logger
        self._tasks = set()
        self._started = [server.stop]
        self._left = False
        self._owner = owner
        self._process = process
        self._judge: GossipJudge = cluster.gossip_judge
        setting = cluster.setting
        tags = server_tags(self.node_id, self.datacenter, settings.rpc_port, False, setting.size, None)
        config = GossipConfig(
            name=self.node_name, bind_address=owner.host, bind_port=SERF_PORT, advertise_address=owner.host,
            advertise_port=SERF_PORT, default_port=SERF_PORT, tags=tags, compression=setting.compression,
            timings=setting.timings, snapshot_path=settings.data_dir / "serf" / "local.snapshot",
            merge_check=lan_merge_check(self.node_name, self.node_id, self.datacenter),
        )  # fmt: skip
        self.lan = GossipPool(config, process, cluster.world.random, self._heard, logger)

    async def start(self) -> None:
        """What Agent does after the server has started. Raises ConfigError, StorageError."""
        self._judge.watch(self._owner, self.lan)
        self._server.membership = Membership(self.lan)
        await self.lan.start()
        self._started.append(self.lan.stop)
        self._process.spawn(self._end_when_left)
        others = [each.host for each in self._owner.cluster.nodes.values() if each is not self._owner]
        addresses = others if self._owner.cluster.setting.joins_all else others[:1]
        self._spawn(RetryJoin(self.lan.join, addresses, 30.0, 0, self._logger, self._exhausted("LAN")).run())
        self._spawn(self._rejoin(self.lan))

    def _heard(self, event: GossipEvent) -> None:
        self._judge.event(self._owner, event)
        self._lan_event(event)

    async def _end_when_left(self) -> None:
        await self.ended.wait()
        await self.stop()
        self._owner.ended()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._owner.cluster.world.failures.append(error)
