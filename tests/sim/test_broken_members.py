"""Deliberate bugs in gossip and around it, each of which the simulator of whole servers must find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deliberate import cases, find
from sim_setting import MEMBERS

from pyconsul.gossip.member import Node
from pyconsul.gossip.messages import Dead, Suspect
from pyconsul.gossip.serf import Serf
from pyconsul.gossip.swim import Swim
from pyconsul.process.agent import Agent
from pyconsul.server.gossip_loop import GossipPool

Patch = pytest.MonkeyPatch
BUGS: dict[str, Callable[[Patch], None]] = {}
SEEDS_MAX = 100


def bug(install: Callable[[Patch], None]) -> Callable[[Patch], None]:
    BUGS[install.__name__] = install
    return install


@bug
def what_is_said_of_us_is_not_refuted(patch: Patch) -> None:
    patch.setattr(Swim, "_refute", lambda self, node, accused: None)


@bug
def older_claims_win(patch: Patch) -> None:
    suspect = Swim.suspect

    def gullible(self: Swim, claim: Suspect) -> None:
        node = self.nodes.get(claim.node)
        if node is not None and node.name != self.me:
            node.incarnation = min(node.incarnation, claim.incarnation)
        suspect(self, claim)

    patch.setattr(Swim, "suspect", gullible)


@bug
def accusers_raise_the_incarnation(patch: Patch) -> None:
    dead = Swim._dead

    def eager(self: Swim, claim: Dead, token: int | None) -> None:
        dead(self, Dead(claim.incarnation + 1, claim.node, claim.sender), token)

    patch.setattr(Swim, "_dead", eager)


@bug
def failed_members_are_not_tried_again(patch: Patch) -> None:
    """... and nobody tells them that they are held for dead."""
    patch.setattr(Serf, "reconnect_target", lambda self: None)
    patch.setattr(Swim, "gossip", _gossip_to_the_living)


def _gossip_to_the_living(self: Swim) -> None:
    for node in self.some(self.timings.gossip_nodes, lambda node: not node.gone):
        messages = self.fetch()
        if messages:
            self.send(node.address, node.port, messages)


@bug
def that_we_leave_is_not_contradicted(patch: Patch) -> None:
    patch.setattr(Serf, "join_intent", lambda self: None)


@bug
def a_failure_is_told_twice(patch: Patch) -> None:
    left = Serf.node_left

    def twice(self: Serf, node: Node) -> None:
        left(self, node)
        member = self.members.get(node.name)
        if member is not None:
            self._tell("member-failed", member)

    patch.setattr(Serf, "node_left", twice)


@bug
def servers_do_not_hear_of_members(patch: Patch) -> None:
    patch.setattr(Agent, "_members_event", lambda self, event: None)


@bug
def an_agent_joins_nobody(patch: Patch) -> None:
    async def alone(self: GossipPool, addresses: Any) -> tuple[int, list[str]]:
        return 1, []

    patch.setattr(GossipPool, "join", alone)


# These need more than a few seeds.
SLOW = {"failed_members_are_not_tried_again", "older_claims_win", "what_is_said_of_us_is_not_refuted"}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", cases(BUGS, SLOW))
def test_a_deliberate_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    find(SEEDS_MAX, MEMBERS)
