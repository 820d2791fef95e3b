"""The rows of the table: what is measured, in which unit, and what the goal says."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import load
from peers import Peer

Values = dict[str, float]
"""Measured values by row name."""


class Settings:
    """Sizes of a run; ``tiny`` only shows that everything still works."""

    def __init__(self, tiny: bool) -> None:
        self.seconds: float = 1 if tiny else 4
        # A snapshot of a million keys is taken every eight or nine seconds under load: less would see one or none.
        self.growth_seconds: float = 1 if tiny else 20
        self.connections = 8 if tiny else 64
        self.list_keys = 50 if tiny else 1000
        self.watchers = 20 if tiny else 1000
        self.many_keys = 200 if tiny else 1_000_000
        self.kills = 1 if tiny else 20


def one_server(peer: Peer, settings: Settings) -> Values:
    values: Values = {}
    begin = time.monotonic()
    with peer.running(1) as (server,):
        values["start 1"] = time.monotonic() - begin
        values["memory empty"] = server.rss_bytes()
        server.request("PUT", peer.key_path("one"), peer.put_body(b"v" * 100))
        get = load.get_rate(peer, server, "one", peer.modes["default"], settings.connections, settings.seconds)
        values["1 GET"], values["1 GET p99"] = get.per_second, get.p99
        put = load.put_rate(peer, server, settings.connections, settings.seconds)
        values["1 PUT"], values["1 PUT p99"] = put.per_second, put.p99
        values["fdatasync"] = load.fdatasync_seconds(peer.folder)
        single = load.put_rate(peer, server, 1, settings.seconds)
        values["1 PUT 1 conn"], values["1 PUT 1 conn p50"] = single.per_second, single.p50
        asyncio.run(load.fill(peer, server, "list/", settings.list_keys, b"v" * 100))
        listing = "?recurse" if peer.name != "etcd" else "?recursive=true&quorum=true"
        values["1 list"] = load.get_rate(peer, server, "list/", listing, 8, settings.seconds).per_second
        values["wake"] = asyncio.run(load.wake_seconds(peer, server, settings.watchers))
    return values


def three_servers(peer: Peer, settings: Settings) -> Values:
    values: Values = {}
    begin = time.monotonic()
    with peer.running(3) as servers:
        values["start 3"] = time.monotonic() - begin
        time.sleep(1.0)
        leader, follower = peer.leader_and_follower()
        leader.request("PUT", peer.key_path("one"), peer.put_body(b"v" * 100))
        for where, server in (("leader", leader), ("follower", follower)):
            put = load.put_rate(peer, server, settings.connections, settings.seconds)
            values[f"3 PUT {where}"], values[f"3 PUT {where} p99"] = put.per_second, put.p99
            for mode, query in peer.modes.items():
                get = load.get_rate(peer, server, "one", query, settings.connections, settings.seconds)
                values[f"3 GET {mode} {where}"], values[f"3 GET {mode} {where} p99"] = get.per_second, get.p99
        for mode in peer.modes:
            values[f"3 GET {mode} ratio"] = values[f"3 GET {mode} follower"] / values[f"3 GET {mode} leader"]
        values["memory 3"] = statistics.mean(server.rss_bytes() for server in servers)
    return values


def failover(peer: Peer, settings: Settings) -> Values:
    """kill -9 of the leader to the next write through another server; the killed one comes back each time."""
    times = []
    with peer.running(3) as servers:
        for _ in range(settings.kills):
            time.sleep(2.0)
            leader, follower = peer.leader_and_follower()
            begin = time.monotonic()
            leader.kill()
            peer.wait_for_write(follower)
            times.append(time.monotonic() - begin)
            leader.start()
            for server in servers:
                peer.wait_for_write(server)
    return {"failover median": statistics.median(times), "failover worst": max(times)}


def growth(peer: Peer, settings: Settings) -> Values:
    with peer.running(1) as (server,):
        asyncio.run(load.fill(peer, server, "small/", 1000, b"v" * 100))
        before = load.put_rate(peer, server, settings.connections, settings.growth_seconds).per_second
        read_before = load.get_rate(
            peer, server, "small/0000001", peer.modes["default"], 64, settings.seconds
        ).per_second
        asyncio.run(load.fill(peer, server, "many/", settings.many_keys, b"v" * 100))
        time.sleep(1.0 if settings.many_keys < 1000 else 10.0)
        memory = server.rss_bytes()
        server.forget_peak()
        after = load.put_rate(peer, server, settings.connections, settings.growth_seconds).per_second
        peak = server.rss_bytes(peak=True)
        read_after = load.get_rate(peer, server, "many/0000100", peer.modes["default"], 64, settings.seconds).per_second
    return {
        "memory many": memory,
        "memory peak": peak / memory,
        "growth PUT": after / before,
        "growth GET": read_after / read_before,
    }


GROUPS: dict[str, Callable[[Peer, Settings], Values]] = {
    "one": one_server,
    "three": three_servers,
    "failover": failover,
    "growth": growth,
}


class Row:
    """A line of the table. ``consul``: Consul 1.10.7 on a machine of this kind (None: not measured). ``goal``: against
    which peer, and by which factor ours must be better. ``unit``: per second, ms, s, MB, or a quotient: x (more is
    better) or ratio (less is better)."""

    def __init__(
        self,
        name: str,
        title: str,
        unit: str,
        consul: float | None,
        goals: dict[str, float],
        limit: float | None = None,
    ) -> None:
        self.name = name
        self.title = title
        self.unit = unit
        self.consul = consul
        self.goals = goals
        self.limit = limit

    @property
    def less_is_better(self) -> bool:
        return self.unit in ("ms", "s", "MB", "ratio")


ROWS = (
    Row("1 GET", "one server, GET, 64 connections", "/s", 34000, {"consul": 2.5, "etcd": 3.0}),
    Row("1 GET p99", "… its p99", "ms", 29, {"consul": 4.0}),
    Row("1 PUT", "one server, PUT, 64 connections", "/s", 10500, {"consul": 3.0, "etcd": 1.5}),
    Row("1 PUT p99", "… its p99", "ms", None, {}),
    Row("1 PUT 1 conn", "one server, PUT, one connection", "/s", 1600, {}),
    Row("1 PUT 1 conn p50", "… its p50", "ms", 0.57, {"fdatasync": 0.5}),
    Row("3 PUT leader", "three servers, PUT at the leader", "/s", 2850, {"consul": 3.0, "etcd": 1.2}),
    Row("3 PUT leader p99", "… its p99 (of Consul: its p50)", "ms", 19, {"consul": 4.0}),
    Row("3 PUT follower", "three servers, PUT at a follower", "/s", 3000, {"consul": 3.0, "etcd": 1.2}),
    Row("3 PUT follower p99", "… its p99", "ms", None, {}),
    Row("3 GET default leader", "three servers, GET at the leader", "/s", 20600, {"consul": 2.0}),
    Row("3 GET default leader p99", "… its p99", "ms", None, {}),
    Row("3 GET default follower", "three servers, GET at a follower", "/s", 13300, {"consul": 2.0}),
    Row("3 GET default follower p99", "… its p99", "ms", None, {}),
    Row("3 GET default ratio", "… ÷ at the leader", "x", 0.65, {}, 0.8),
    Row("3 GET consistent leader", "three servers, GET ?consistent at the leader", "/s", 15300, {"consul": 2.0}),
    Row("3 GET consistent leader p99", "… its p99", "ms", None, {}),
    Row("3 GET consistent follower", "three servers, GET ?consistent at a follower", "/s", 8700, {"consul": 2.0}),
    Row("3 GET consistent follower p99", "… its p99", "ms", None, {}),
    Row("3 GET consistent ratio", "… ÷ at the leader", "x", 0.57, {}, 0.8),
    Row("1 list", "list of 1,000 keys", "/s", None, {"consul": 2.0}),
    Row("wake", "one write wakes 1,000 blocking reads, last answer", "ms", None, {}, 30),
    Row("start 1", "start of one server to its first write", "s", 5.6, {}, 0.7),
    Row("start 3", "start of three servers to the first write through each", "s", None, {}, 2.5),
    Row("failover median", "kill -9 of the leader to the next write, median", "s", 16.8, {}, 2.0),
    Row("failover worst", "… worst", "s", None, {}),
    Row("memory empty", "memory, empty server", "MB", 80, {}, 60),
    Row("memory many", "memory, 1,000,000 keys of 100 bytes", "MB", None, {}, 700),
    Row("memory peak", "… its peak under 20 s of writes ÷ that", "ratio", None, {}, 1.3),
    Row("growth PUT", "PUT at 1,000,000 keys ÷ at 1,000", "x", None, {}, 0.8),
    Row("growth GET", "GET at 1,000,000 keys ÷ at 1,000", "x", None, {}, 0.8),
)


def folder_of(root: Path, group: str, peer: str, round_: int) -> Path:
    return root / f"{group}-{peer}-{round_}"
