"""The rules by which claims are merged (docs/design/gossip.md, "Claims"), one test per rule."""

from __future__ import annotations

from typing import Any

import pytest
from gossip_bench import Bench, address_of

from pyconsul.errors import PeerError
from pyconsul.gossip.member import VERSIONS
from pyconsul.gossip.messages import (
    STATE_ALIVE,
    STATE_DEAD,
    STATE_LEFT,
    STATE_SUSPECT,
    Alive,
    Dead,
    NodeState,
    PushPull,
    Suspect,
)
from pyconsul.gossip.swim import push_pull_interval


def alive(number: int, incarnation: int = 1, meta: bytes = b"\xff\x80", **changes: Any) -> Alive:
    fields: dict[str, Any] = {
        "node": f"p{number}", "address": address_of(number), "port": 8301, "meta": meta, "versions": VERSIONS,
    } | changes  # fmt: skip
    return Alive(incarnation, **fields)


def test_a_newcomer_joins_and_is_told_of(bench: Bench) -> None:
    bench.forget()
    bench.hear(alive(1))
    assert bench.node("p1").state == STATE_ALIVE
    assert bench.kinds() == ["member-join"]
    bench.hear(alive(2))
    bench.forget()
    bench.advance(0.3)
    assert {message.node for _, message in bench.sent(Alive)} >= {"p1", "p2"}


def test_the_same_claim_again_changes_nothing(bench: Bench) -> None:
    bench.meet(1)
    bench.forget()
    bench.meet(1)
    assert bench.kinds() == []


def test_new_meta_with_a_higher_incarnation_is_an_update(bench: Bench) -> None:
    bench.hear(alive(1, 1, b"\xff\x81\xa1a\xa11"))
    bench.hear(alive(1, 1, b"\xff\x81\xa1a\xa12"))
    assert bench.member("p1").tags == {"a": "1"}
    bench.hear(alive(1, 2, b"\xff\x81\xa1a\xa12"))
    assert bench.member("p1").tags == {"a": "2"}
    assert bench.kinds()[-1] == "member-update"


@pytest.mark.parametrize("versions", [b"\0\5\2\2\5\4", b"\1\0\2\2\5\4", b"\5\1\2\2\5\4", b"\1\5\2", b""])
def test_bad_versions_are_dropped(bench: Bench, versions: bytes) -> None:
    bench.hear(alive(1, versions=versions))
    assert "p1" not in bench.core.swim.nodes


@pytest.mark.parametrize("changes", [{"address": b"\1\2\3"}, {"meta": b"\xff" + b"x" * 600}, {"meta": b"\xff\xc1"}])
def test_bad_addresses_and_tags_are_dropped(bench: Bench, changes: dict[str, bytes]) -> None:
    bench.hear(alive(1, **changes))  # type: ignore[arg-type]
    assert "p1" not in bench.core.swim.nodes


def test_port_0_means_our_own(bench: Bench) -> None:
    bench.hear(alive(1, port=0))
    assert bench.node("p1").port == 8301


def test_suspicion_needs_the_current_incarnation(bench: Bench) -> None:
    bench.meet(1, 2, incarnation=5)
    bench.hear(Suspect(4, "p1", "p2"))
    assert bench.node("p1").state == STATE_ALIVE
    bench.hear(Suspect(5, "p1", "p2"))
    assert bench.node("p1").state == STATE_SUSPECT
    assert "member-failed" not in bench.kinds()


def test_a_higher_incarnation_ends_a_suspicion(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear(Suspect(1, "p1", "p2"))
    bench.hear(alive(1, 1))
    assert bench.node("p1").state == STATE_SUSPECT
    bench.hear(alive(1, 2))
    assert bench.node("p1").state == STATE_ALIVE
    bench.hear(Suspect(1, "p1", "p2"))
    assert bench.node("p1").state == STATE_ALIVE


def test_a_suspicion_without_refutation_kills_after_its_time(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Suspect(1, "p1", "p9"))
    bench.advance(3.9)
    assert bench.node("p1").state == STATE_SUSPECT
    bench.advance(0.2)
    assert bench.node("p1").state == STATE_DEAD
    assert bench.kinds()[-1] == "member-failed"


def test_confirmations_shorten_a_suspicion_and_travel_on(bench: Bench) -> None:
    bench.meet(1, 2, 3)  # with us four records: two confirmations wanted, 24 s down to 4 s
    bench.hear(Suspect(1, "p1", "p2"))
    start = bench.now
    bench.hear(Suspect(1, "p1", "p2"))
    bench.hear(Suspect(1, "p1", "p3"))
    suspicion, timer = bench.core.swim._suspicions["p1"]
    assert suspicion.confirmations == 1
    assert timer.when - start == pytest.approx(11.381)
    bench.forget()
    bench.advance(0.5)
    assert any(claim.sender == "p3" for _, claim in bench.sent(Suspect))


def test_we_refute_suspicion_death_and_false_claims_about_us(bench: Bench) -> None:
    bench.meet(1)
    swim = bench.core.swim
    bench.hear(Suspect(1, "me", "p1"))
    assert (swim.incarnation, swim.nodes["me"].state) == (2, STATE_ALIVE)
    bench.hear(Dead(7, "me", "p1"))
    assert (swim.incarnation, swim.nodes["me"].state) == (8, STATE_ALIVE)
    bench.hear(Alive(11, "me", swim.config.address, 8301, b"\xff\x80", VERSIONS))
    assert swim.incarnation == 12
    assert swim.awareness.score == 3
    bench.forget()
    bench.advance(0.3)
    refutations = [claim for _, claim in bench.sent(Alive) if claim.node == "me"]
    assert refutations and all(claim.incarnation == 12 for claim in refutations)
    assert refutations[0].meta == swim.nodes["me"].meta


def test_old_claims_about_us_are_ignored(bench: Bench) -> None:
    bench.core.serf.set_tags({"a": "b"})
    assert bench.core.swim.incarnation == 2
    bench.hear(Suspect(1, "me", "p1"))
    assert bench.core.swim.incarnation == 2


def test_another_address_for_a_living_name_is_a_conflict(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(alive(1, 9, address=address_of(77)))
    assert bench.node("p1").address == address_of(1)
    bench.hear(alive(1, 9, port=9999))
    assert bench.node("p1").port == 8301


def test_a_name_may_be_taken_over_when_its_owner_left_or_is_dead_for_long(bench: Bench) -> None:
    bench.meet(1, 2, incarnation=5)
    bench.hear(Dead(5, "p1", "p1"))
    bench.hear(alive(1, 1, address=address_of(77)))
    assert bench.node("p1").address == address_of(77)
    assert bench.node("p1").state == STATE_ALIVE

    bench.hear(Dead(5, "p2", "p1"))
    bench.hear(alive(2, 6, address=address_of(78)))
    assert bench.node("p2").state == STATE_DEAD
    bench.core.context.enter(bench.now + 31)
    bench.now += 31
    bench.hear(alive(2, 1, address=address_of(78)))
    assert (bench.node("p2").address, bench.node("p2").state) == (address_of(78), STATE_ALIVE)


def test_mapped_addresses_are_relayed_as_they_came(bench: Bench) -> None:
    mapped = bytes(10) + b"\xff\xff" + address_of(1)
    bench.hear(alive(1, address=mapped))
    assert bench.member("p1").address_text == "10.0.0.1"
    bench.forget()
    bench.advance(0.3)
    assert all(claim.address == mapped for _, claim in bench.sent(Alive) if claim.node == "p1")
    assert mapped in {node.address for node in bench.core.swim.state(False).nodes}


def test_left_and_dead_differ(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear(Dead(1, "p1", "p1"), Dead(1, "p2", "p1"))
    assert (bench.node("p1").state, bench.node("p2").state) == (STATE_LEFT, STATE_DEAD)


def test_disallowed_addresses_are_dropped() -> None:
    bench = Bench(allowed=lambda address: address[3] < 50)
    bench.hear(alive(1))
    bench.hear(alive(60))
    bench.hear(alive(2), source=60)
    assert set(bench.core.swim.nodes) == {"me", "p1"}


def state(number: int, incarnation: int, status: int, versions: bytes = VERSIONS) -> NodeState:
    return NodeState(f"p{number}", address_of(number), 8301, b"\xff\x80", incarnation, status, versions)


def test_a_merge_only_suspects_whom_the_other_thinks_dead(bench: Bench) -> None:
    bench.meet(1, 2, 3)
    nodes = (state(1, 1, STATE_DEAD), state(2, 1, STATE_LEFT), state(4, 3, STATE_ALIVE), state(5, 1, STATE_DEAD))
    bench.core.serve(bench.now, PushPull(False, nodes))
    assert bench.node("p1").state == STATE_SUSPECT
    assert bench.node("p2").state == STATE_LEFT
    assert bench.node("p4").incarnation == 3
    assert "p5" not in bench.core.swim.nodes


def test_incompatible_versions_stop_a_merge(bench: Bench) -> None:
    bench.meet(1)
    future = state(2, 1, STATE_ALIVE, bytes((6, 9, 6, 2, 5, 4)))
    with pytest.raises(PeerError, match="incompatible"):
        bench.core.swim.merge(PushPull(False, (state(3, 1, STATE_ALIVE), future)), False, False)
    assert "p3" not in bench.core.swim.nodes


def test_the_merge_hook_vetoes_joins_only() -> None:
    bench = Bench(merge_check=lambda members: "no" if any(member.name == "p2" for member in members) else None)
    nodes = (state(1, 1, STATE_ALIVE), state(2, 1, STATE_ALIVE))
    with pytest.raises(PeerError, match=r"^no$"):
        bench.core.swim.merge(PushPull(True, nodes), True, False)
    assert set(bench.core.swim.nodes) == {"me"}
    bench.core.swim.merge(PushPull(False, nodes), False, False)
    assert set(bench.core.swim.nodes) == {"me", "p1"}


def test_leaving_is_told_as_dead_by_ourselves(bench: Bench) -> None:
    bench.meet(1)
    bench.core.context.enter(bench.now)
    token = bench.core.swim.leave()
    assert token is not None
    bench.hear(Suspect(9, "me", "p1"))
    assert bench.node("me").state == STATE_LEFT
    bench.forget()
    bench.advance(0.3)
    assert any(claim.node == claim.sender == "me" for _, claim in bench.sent(Dead))


def test_nobody_is_told_when_nobody_is_there(bench: Bench) -> None:
    assert bench.core.swim.leave() is None
    assert bench.node("me").state == STATE_LEFT


@pytest.mark.parametrize(("members", "factor"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (1000, 6)])
def test_push_pull_interval_grows_with_the_cluster(members: int, factor: int) -> None:
    assert push_pull_interval(30.0, members) == 30.0 * factor


def test_an_accuser_that_missed_the_refutation_is_told_of_it(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.meet(2, incarnation=4)
    bench.forget()
    bench.hear(Dead(3, "p2", "p1"), source=1)
    assert [(address, message.node, message.incarnation) for address, message in bench.sent(Alive)] == [
        (address_of(1), "p2", 4)
    ]
    assert bench.kinds() == []


def test_an_outdated_death_that_another_passes_on_is_not_answered(bench: Bench) -> None:
    bench.meet(1, 2, 3)
    bench.meet(2, incarnation=4)
    bench.forget()
    bench.hear(Dead(3, "p2", "p1"), source=3)
    assert bench.sent(Alive) == []


def test_a_stranger_without_incarnation_is_not_taken_for_alive(bench: Bench) -> None:
    bench.forget()
    bench.hear(alive(1, 0))
    assert bench.kinds() == []
