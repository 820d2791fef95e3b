"""Probing (docs/design/gossip.md, "Probing"): direct, through others, by TCP; and serving the probes of others."""

from __future__ import annotations

import pytest
from gossip_bench import Bench, address_of

from pyconsul.gossip.coordinate import Coordinate
from pyconsul.gossip.messages import (
    STATE_SUSPECT,
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    User,
)
from pyconsul.gossip.timings import Timings

QUIET = Timings(push_pull_interval=0, gossip_interval=0)


def probing(*peers: int) -> tuple[Bench, Ping]:
    """A bench that has just sent a direct ping to ``p1``, the others having been suspected of nothing."""
    bench = Bench(QUIET)
    bench.meet(*peers)
    bench.forget()
    while not (pings := bench.sent(Ping)):
        bench.advance(0.01)
    address, ping = pings[0]
    assert address == address_of(int(ping.node[1:]))
    return bench, ping


def test_an_ack_in_time_is_all_there_is() -> None:
    bench, ping = probing(1, 2, 3, 4)
    bench.core.swim.awareness.apply(3)
    bench.hear(Ack(ping.seq, Coordinate().encode()))
    assert bench.core.swim.awareness.score == 2
    bench.forget()
    bench.advance(0.6)
    assert not bench.sent(IndirectPing) and not bench.streams
    assert ping.node in bench.core.serf.coordinates


def test_after_the_first_time_out_others_and_tcp_are_tried() -> None:
    bench, ping = probing(1, 2, 3, 4, 5)
    bench.advance(0.49)
    assert not bench.sent(IndirectPing)
    bench.advance(0.02)
    requests = bench.sent(IndirectPing)
    assert len(requests) == 3
    assert all(request.node == ping.node and request.seq == ping.seq and request.nack for _, request in requests)
    assert address_of(int(ping.node[1:])) not in {address for address, _ in requests}
    assert [stream.message for stream in bench.streams] == [ping.encode()]


def test_a_relayed_ack_saves_the_target_and_is_no_coordinate() -> None:
    bench, ping = probing(1, 2, 3)
    bench.advance(0.6)
    bench.hear(Ack(ping.seq), source=2)
    bench.advance(1.0)
    assert bench.node(ping.node).alive
    assert ping.node not in bench.core.serf.coordinates


def test_tcp_saves_the_target() -> None:
    bench, ping = probing(1, 2, 3)
    bench.advance(0.6)
    bench.core.stream_reply(bench.now, bench.streams[0].id, Ack(ping.seq))
    bench.advance(0.41)
    assert bench.node(ping.node).alive


def test_no_answer_at_all_is_a_suspicion() -> None:
    bench, ping = probing(1, 2, 3)
    bench.advance(0.6)
    bench.hear(Nack(ping.seq), source=2)
    bench.hear(Nack(ping.seq), source=3)
    bench.advance(0.41)
    assert bench.node(ping.node).state == STATE_SUSPECT
    assert bench.core.swim.awareness.score == 0, "both helpers said that they could not reach it: not our fault"


def test_missing_nacks_are_our_own_fault() -> None:
    bench, ping = probing(1, 2, 3, 4)
    bench.advance(0.6)
    bench.hear(Nack(ping.seq), source=2)
    bench.advance(0.41)
    assert bench.node(ping.node).state == STATE_SUSPECT
    assert bench.core.swim.awareness.score == 2


def test_without_helpers_a_failure_counts_one() -> None:
    bench, ping = probing(1)
    bench.advance(1.01)
    assert bench.node(ping.node).state == STATE_SUSPECT
    assert bench.core.swim.awareness.score == 1


def test_a_suspect_is_told_what_it_is_suspected_of() -> None:
    bench = Bench(QUIET)
    bench.meet(1)
    bench.hear(Suspect(1, "p1", "p9"))
    bench.forget()
    bench.advance(2.1)
    assert bench.sent(Ping)
    assert [claim.sender for _, claim in bench.sent(Suspect)][:1] == ["me"]


def test_strange_acks_are_ignored() -> None:
    bench, ping = probing(1, 2)
    bench.hear(Ack(ping.seq + 1000), Nack(ping.seq + 1000))
    bench.advance(1.01)
    assert bench.node(ping.node).state == STATE_SUSPECT


def test_an_unhealthy_member_waits_longer() -> None:
    bench = Bench(QUIET)
    bench.meet(1)
    bench.core.swim.awareness.apply(2)
    bench.forget()
    while not bench.sent(Ping):
        bench.advance(0.01)
    bench.advance(2.9)
    assert bench.node("p1").alive
    bench.advance(0.2)
    assert bench.node("p1").state == STATE_SUSPECT


@pytest.mark.parametrize(
    ("ping", "destination"),
    [
        (Ping("me", 9, address_of(1), "p1", 8301), 1),
        (Ping("me", 9), 5),
        (Ping("", 9), 5),
        (Ping("somebody else", 9), None),
    ],
)
def test_pings_are_answered_where_they_say(bench: Bench, ping: Ping, destination: int | None) -> None:
    bench.forget()
    bench.hear(ping, source=5)
    acks = bench.sent(Ack)
    if destination is None:
        assert not acks
    else:
        assert [(address, ack.seq) for address, ack in acks] == [(address_of(destination), 9)]
        assert acks[0][1].payload == bench.core.serf.coordinate.encode()


def request(nack: bool) -> IndirectPing:
    return IndirectPing(77, address_of(2), 8301, "p2", nack, address_of(1), "p1", 8301)


def test_an_indirect_ping_that_works_is_relayed(bench: Bench) -> None:
    bench.forget()
    bench.hear(request(nack=True))
    ((address, ping),) = [(address, ping) for address, ping in bench.sent(Ping) if ping.node == "p2"]
    assert (address, ping.source_node) == (address_of(2), "me")
    bench.hear(Ack(ping.seq, b"\1\x80"), source=2)
    assert bench.sent(Ack) == [(address_of(1), Ack(77, b""))]
    bench.advance(1.0)
    assert not bench.sent(Nack)


@pytest.mark.parametrize("nack", [True, False])
def test_an_indirect_ping_that_fails_is_a_nack_if_wanted(bench: Bench, nack: bool) -> None:
    bench.forget()
    bench.hear(request(nack))
    bench.advance(0.49)
    assert not bench.sent(Nack)
    bench.advance(0.02)
    assert bench.sent(Nack) == ([(address_of(1), Nack(77))] if nack else [])
    assert not bench.sent(Ack)


def test_relays_under_way_are_bounded(bench: Bench) -> None:
    bench.forget()
    for _ in range(1100):
        bench.hear(request(nack=False))
    assert len([ping for _, ping in bench.sent(Ping)]) <= 1024
    bench.advance(0.6)
    bench.forget()
    bench.hear(request(nack=False))
    assert bench.sent(Ping)


def test_a_ping_by_tcp_is_answered_for_us_only(bench: Bench) -> None:
    assert bench.core.serve(bench.now, Ping("me", 4)) == Ack(4).encode()
    assert bench.core.serve(bench.now, Ping("other", 4)) is None


def test_broadcasts_ride_on_acks(bench: Bench) -> None:
    bench.core.serf.fire_event("hello", b"", False)
    bench.forget()
    bench.hear(Ping("me", 1))
    assert bench.sent(User)


def test_everybody_is_probed_once_per_round() -> None:
    bench = Bench(QUIET)
    bench.meet(*range(1, 9))
    probed: list[str] = []
    for _ in range(60):
        bench.forget()
        bench.advance(0.25)
        for _, ping in bench.sent(Ping):
            probed.append(ping.node)
            bench.hear(Ack(ping.seq))
    assert len(set(probed[:8])) == 8
    assert len(probed) >= 10


def test_a_dead_member_that_pings_is_told_what_is_said_of_it(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p9"))
    bench.forget()
    bench.hear(Ping("me", 77, address_of(1), "p1", 8301))
    assert [message.seq for _, message in bench.sent(Ack)] == [77]
    assert bench.sent(Dead) == [(address_of(1), Dead(1, "p1", "me"))]
    bench.meet(1, incarnation=2)
    bench.forget()
    bench.hear(Ping("me", 78, address_of(1), "p1", 8301))
    assert bench.sent(Dead) == []
