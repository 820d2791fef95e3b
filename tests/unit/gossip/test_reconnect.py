"""Who is tried again: failed members, and those known before a restart that were not met since; what the file of known
members says of them (docs/design/gossip.md, "Serf")."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from gossip_bench import Bench, address_of

from pyconsul.clock import seeded_random
from pyconsul.gossip.context import Context, Record
from pyconsul.gossip.member import VERSIONS
from pyconsul.gossip.messages import Alive, Dead
from pyconsul.gossip.serf_messages import JoinIntent, LeaveIntent
from pyconsul.gossip.snapshot import Recorder, Restored, parse_endpoint, replay
from pyconsul.gossip.timings import LAN
from pyconsul.storage.member_snapshot import MemberSnapshotFile
from pyconsul.storage.memory import MemoryFiles

ROUNDS = 20
"""So many times somebody is tried, or not, by chance."""


def restarted(*lines: str, reconnect_timeout: float = LAN.reconnect_timeout) -> Bench:
    return Bench(msgspec.structs.replace(LAN, reconnect_timeout=reconnect_timeout), snapshot_lines=lines)


def tried(bench: Bench) -> set[bytes]:
    """Whose addresses are tried in the next rounds by exchanges that join."""
    bench.forget()
    bench.advance(ROUNDS * LAN.reconnect_interval)
    return {stream.address for stream in bench.streams if stream.address not in alive(bench)}


def alive(bench: Bench) -> set[bytes]:
    return {node.address for node in bench.core.swim.order if node.alive}


P1, P2, P3 = (f"p{number} 10.0.0.{number}:8301" for number in (1, 2, 3))


def test_who_was_there_before_a_restart_is_tried_until_it_is_met() -> None:
    bench = restarted(f"alive: {P1}", f"alive: {P2}", f"failed: {P3}")
    assert tried(bench) == {address_of(1), address_of(2), address_of(3)}
    bench.hear(Alive(1, "p2", address_of(2), 8301, b"", VERSIONS))
    bench.hear(Dead(1, "p2", "p2"))
    bench.hear_serf(LeaveIntent(5, "p2"))
    assert tried(bench) == {address_of(1), address_of(3)}


def test_who_left_meanwhile_is_not_tried_and_forgotten() -> None:
    bench = restarted(f"alive: {P1}", f"failed: {P2}")
    bench.hear_serf(LeaveIntent(5, "p1"))
    bench.hear_serf(LeaveIntent(6, "p2"))
    assert bench.records[-2:] == ["not-alive: p1", "not-alive: p2"]
    assert tried(bench) == set()


def test_a_leave_before_a_return_does_not_count() -> None:
    bench = restarted(f"alive: {P1}")
    bench.hear_serf(JoinIntent(7, "p1"))
    bench.hear_serf(LeaveIntent(6, "p1"))
    assert tried(bench) == {address_of(1)}


def test_who_does_not_come_is_given_up_as_late_as_a_failed_member() -> None:
    bench = restarted(f"alive: {P1}", f"failed: {P2}", reconnect_timeout=1000.0)
    assert tried(bench) == {address_of(1), address_of(2)}
    bench.advance(400.0)
    assert sorted(bench.records) == ["not-alive: p1", "not-alive: p2"]
    assert tried(bench) == set()


def test_where_somebody_lives_under_another_name_nobody_is_sought() -> None:
    bench = restarted("alive: before 10.0.0.200:8301", "alive: old 10.0.0.1:8301", "alive: port 10.0.0.1:8302")
    bench.hear(Alive(1, "new", bytes(10) + b"\xff\xff" + address_of(1), 8301, b"", VERSIONS))
    targets = {target for _ in range(ROUNDS) if (target := bench.core.serf.reconnect_target()) is not None}
    assert {(target.name, target.port) for target in targets} == {("port", 8302)}


def test_we_ourselves_are_not_sought_at_an_address_that_we_had() -> None:
    assert tried(restarted("alive: me 10.0.0.9:8301")) == set()


def test_who_failed_is_remembered_and_who_left_is_not() -> None:
    bench = restarted()
    bench.meet(1, 2)
    bench.forget()
    bench.hear(Dead(1, "p1", "p2"))
    assert bench.records == ["not-alive: p1", f"failed: {P1}"]
    bench.hear_serf(LeaveIntent(5, "p2"))
    bench.hear(Dead(1, "p2", "p2"))
    assert bench.records[2:] == ["not-alive: p2"]
    bench.hear_serf(LeaveIntent(6, "p1"))
    assert bench.records[3:] == ["not-alive: p1"], "an operator said that it will not come back"


def test_who_was_forgotten_after_long_is_not_remembered_either() -> None:
    bench = restarted(reconnect_timeout=50.0)
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p2"))
    bench.forget()
    bench.advance(100.0)
    assert bench.records == ["not-alive: p1"]


def test_the_last_word_about_a_member_counts() -> None:
    lines = [f"alive: {P1}", f"failed: {P1}", f"failed: {P2}", f"alive: {P2}", f"failed: {P3}", "not-alive: p3"]
    assert replay(lines, False) == Restored({"p2": "10.0.0.2:8301"}, failed={"p1": "10.0.0.1:8301"})
    assert replay([*lines, "leave"], False) == Restored({})


def test_members_are_synced_and_clocks_are_not() -> None:
    context = Context(seeded_random(1))
    recorder = Recorder(context, Restored({}), 0)
    recorder.alive("p1", "10.0.0.1:8301")
    recorder.clock(9)
    recorder.failed("p1", "10.0.0.1:8301")
    recorder.event(9)
    recorder.gone("p1")
    recorder.gone("p1")
    records = [effect for effect in context.effects() if isinstance(effect, Record)]
    assert [(record.lines[-1], record.sync) for record in records] == [
        (f"alive: {P1}", True), ("clock: 8", False), (f"failed: {P1}", True), ("event-clock: 9", False),
        ("not-alive: p1", True),
    ]  # fmt: skip


def test_a_rewritten_file_has_those_that_failed_too() -> None:
    context = Context(seeded_random(1))
    recorder = Recorder(context, Restored({"p1": "10.0.0.1:8301"}, failed={"p2": "10.0.0.2:8301"}), 1 << 20)
    recorder.clock(9)
    (record,) = (effect for effect in context.effects() if isinstance(effect, Record))
    assert record.rewrite
    assert replay(record.lines, False) == Restored({"p1": "10.0.0.1:8301"}, 8, failed={"p2": "10.0.0.2:8301"})


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("10.0.0.1:8301", (address_of(1), 8301)),
        ("[::1]:1", (bytes(15) + b"\1", 1)),
        ("10.0.0.1:65535", (address_of(1), 65535)),
        ("10.0.0.1:65536", None),
        ("10.0.0.1:0", None),
        ("10.0.0.1:", None),
        ("host:8301", None),
        ("", None),
    ],
)
def test_endpoints_are_addresses_with_a_port(text: str, endpoint: tuple[bytes, int] | None) -> None:
    assert parse_endpoint(text) == endpoint


def test_a_new_file_survives_a_power_cut_with_what_was_synced() -> None:
    files, path = MemoryFiles(), Path("/data/serf/local.snapshot")
    file, _ = MemberSnapshotFile.open(path, files)
    file.append([f"alive: {P1}"], sync=True)
    file.append(["clock: 1"])
    files.crash()
    assert MemberSnapshotFile.open(path, files)[1] == [f"alive: {P1}"]
