"""What must never be seen of gossip, and what must be seen when nothing goes wrong any more. Raises Violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from world import Violation

from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.member import ALIVE, FAILED, LEFT
from pyconsul.gossip.member import Node as Record
from pyconsul.gossip.messages import STATE_ALIVE, STATE_SUSPECT
from pyconsul.server.gossip_loop import GossipPool

if TYPE_CHECKING:
    from judge import Judge
    from sim_cluster import Cluster
    from sim_node import Node

HEARD = {"member-join": ALIVE, "member-leave": LEFT, "member-failed": FAILED}
BEFORE = {
    "member-join": (None, LEFT, FAILED),
    "member-leave": (ALIVE, FAILED),
    "member-failed": (ALIVE,),
    "member-update": (ALIVE,),
    "member-reap": (LEFT, FAILED, ALIVE),
}
"""What the application was told last of a member before it is told this. A forced leave follows
a failure; a member that is told to be leaving and does not contradict may be forgotten without any other word."""


class GossipJudge:
    """``highest``: the highest incarnation that each member has had. ``told``: what each application was told last of
    each member in this life."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.highest: dict[str, int] = {}
        self.told: dict[str, dict[str, int]] = {}
        self._claims: dict[str, dict[Record, tuple[int, int]]] = {}

    def watch(self, node: Node, pool: GossipPool) -> None:
        """A new life of this member: looks at what it believes after everything it hears."""
        self.told[node.name] = {}
        claims: dict[Record, tuple[int, int]] = {}
        flush = pool._flush

        def watched() -> None:
            core = pool._core
            if core is not None:
                own = core.swim.incarnation
                if own > self.highest.get(node.name, 0):
                    self.highest[node.name] = own
                for record in core.swim.order:
                    self._look(node.name, record, claims)
            flush()

        pool._flush = watched  # type: ignore[method-assign]

    def _look(self, observer: str, record: Record, claims: dict[Record, tuple[int, int]]) -> None:
        """Claims about a member get newer, and worse until the member itself refutes them."""
        state = record.state
        claim = (record.incarnation, 0 if state == STATE_ALIVE else 1 if state == STATE_SUSPECT else 2)
        before = claims.get(record)
        if claim == before:
            return
        claims[record] = claim
        if before is not None and claim < before:
            raise Violation(f"{observer} believes of {record.name} {claim} after {before} (incarnation, state)")
        if record.incarnation > self.highest.get(record.name, 0):
            raise Violation(
                f"{observer} has incarnation {record.incarnation} of {record.name}, which never had more than "
                f"{self.highest.get(record.name, 0)}"
            )

    def event(self, node: Node, event: GossipEvent) -> None:
        told = self.told[node.name]
        self._judge.count(f"gossip: {event.kind}")
        for member in event.members:
            if told.get(member.name) not in BEFORE[event.kind]:
                raise Violation(f"{node.name} is told {event.kind} of {member.name} after {told.get(member.name)}")
            node.cluster.log(node, f"hears {event.kind} of {member.name}")
            if event.kind == "member-reap":
                del told[member.name]
            elif event.kind in HEARD:
                told[member.name] = HEARD[event.kind]

    def agree(self, cluster: Cluster) -> None:
        """Every server sees every server alive, with the incarnation that it has, and its application knows."""
        alive = dict.fromkeys(cluster.nodes, ALIVE)
        for node in cluster.nodes.values():
            agent = node.agent
            if agent is None or agent.lan._core is None:
                raise Violation(f"{node.name} has no gossip although it runs")
            seen = {member.name: member.status for member in agent.lan.members()}
            if seen != alive:
                raise Violation(f"{node.name} sees members {seen} although all run")
            if self.told[node.name] != alive:
                raise Violation(f"{node.name} was told of members {self.told[node.name]} although all run")
            addresses = {each.name: each.address for each in cluster.nodes.values()}
            if node.raft.known_addresses != addresses:
                raise Violation(f"{node.name} knows addresses {node.raft.known_addresses}")
            for name, record in agent.lan._core.swim.nodes.items():
                other = cluster.nodes[name].agent
                assert other is not None
                assert other.lan._core is not None
                if record.state != STATE_ALIVE or record.incarnation != other.lan._core.swim.incarnation:
                    raise Violation(
                        f"{node.name} has state {record.state} and incarnation {record.incarnation} of {name}, which "
                        f"runs with {other.lan._core.swim.incarnation}"
                    )
