"""How servers come to know each other: what a run asks of gossip, real (sim_members.py) or not (sim_hearsay.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from world import Process

from pyconsul.server.node import ConsensusServer

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


class Gossip(ABC):
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @abstractmethod
    async def join(self, node: Node, server: ConsensusServer) -> None:
        """A server has started: gives it its membership. Raises PyconsulError."""

    @abstractmethod
    def died(self, node: Node, process: Process) -> None:
        """A process has ended without telling anybody."""

    @abstractmethod
    def leave(self, node: Node) -> None:
        """An operator lets a member leave; it comes back after a while."""

    @abstractmethod
    def drop(self, node: Node, target: Node, prune: bool) -> None:
        """An operator tells ``node`` that ``target`` will not come back, which is wrong."""

    @abstractmethod
    def calm_down(self, node: Node) -> None:
        """The quiet time begins."""

    @abstractmethod
    def check_agreement(self) -> None:
        """Everybody sees everybody alive. Raises Violation."""
