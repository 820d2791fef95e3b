"""The quiet time after the faults: nothing goes wrong any more, so the servers must come to an agreement."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sim_clients import KEYS
from world import IO, Violation

from pyconsul.records.catalog import PASSING, SERF_CHECK_ID
from pyconsul.server.backend import ReadMode
from pyconsul.state.store import Store

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


def calm_down(cluster: Cluster) -> None:
    """Everybody runs, nothing is lost, nobody is cut off; at the end every server is asked for every key."""
    setting, world = cluster.setting, cluster.world
    cluster.log(None, "quiet from here")
    setting.calm_down()
    cluster.network.blocked = set()
    for each in cluster.nodes.values():
        each.full_until = each.slow_until = 0.0
        if each.process is not None:
            each.process.go_on(False)
        each.start()
        cluster.gossip.calm_down(each)
    for number, each in enumerate(cluster.nodes.values()):
        for offset, key in enumerate(KEYS):
            delay = setting.quiet_seconds - 1.0 + 0.05 * (number + offset)
            world.push(delay, IO, partial(_last_read, cluster, each, key))


def _last_read(cluster: Cluster, each: Node, key: bytes) -> None:
    if not each.running or each.process is None or each.server is None:
        raise Violation(f"{each.name} does not run although nothing is wrong with it any more")
    read = partial(cluster.clients.read, each, each.server, 99, key, ReadMode.CONSISTENT, lambda record: record())
    each.process.spawn(read)


def check_agreement(cluster: Cluster) -> None:
    """Raises Violation."""
    leading = cluster.leading()
    if len(leading) != 1:
        raise Violation(f"no single leader after the faults: {[each.name for each in leading]}")
    core = leading[0].raft.core
    if core.commit_index < cluster.judge.commit_max or core.commit_index < core.last_index:
        raise Violation(f"no progress: commit {core.commit_index} of {core.last_index}, {cluster.judge.commit_max}")
    for server in core.configuration.servers:
        applied = cluster.nodes[server.id].raft.core.applied_index
        if applied < core.commit_index:
            raise Violation(f"{server.id} stays behind: {applied} of {core.commit_index}")
    voters = {server.id for server in core.configuration.servers if server.voter}
    if voters != set(cluster.nodes):
        raise Violation(f"not all servers vote again: {sorted(voters)}")
    cluster.gossip.check_agreement()
    _check_catalog(core.id, leading[0].raft.machine.store, cluster)


def _check_catalog(leader: str, store: Store, cluster: Cluster) -> None:
    """The catalog says of every server that it is alive."""
    for name in cluster.nodes:
        check = store.catalog.check(name, SERF_CHECK_ID)
        if check is None or check.status != PASSING:
            raise Violation(f"the catalog of {leader} has {check} for {name}, which runs")
