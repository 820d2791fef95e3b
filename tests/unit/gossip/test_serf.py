"""Serf's member status, events and queries (docs/design/gossip.md, "Serf")."""

from __future__ import annotations

import pytest
from gossip_bench import Bench, address_of

from pyconsul.errors import CallerError, ConfigError
from pyconsul.gossip.context import KeyringChanged, QueryAnswer, QueryDone, ShutDown
from pyconsul.gossip.filters import node_filter, tag_filter
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.member import ALIVE, FAILED, LEAVING, LEFT, VERSIONS
from pyconsul.gossip.messages import Alive, Dead, PushPull
from pyconsul.gossip.queries import QueryOptions
from pyconsul.gossip.serf_messages import (
    ConflictResponse,
    EventSlot,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    MemberState,
    Query,
    QueryResponse,
    Relay,
    RelayAddress,
    SerfState,
    UserEvent,
    decode_serf,
    decode_state,
)

# --- intents ----------------------------------------------------------------------------------------------------------


def test_dead_without_an_intent_is_failed(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p1"))
    assert bench.member("p1").status == FAILED
    assert bench.kinds()[-1] == "member-failed"


def test_dead_after_a_leave_intent_is_left(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(LeaveIntent(5, "p1"))
    assert bench.member("p1").status == LEAVING
    bench.hear(Dead(1, "p1", "p1"))
    assert bench.member("p1").status == LEFT
    assert bench.kinds()[-1] == "member-leave"


def test_a_failed_member_becomes_left_by_an_intent(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p2"))
    bench.hear_serf(LeaveIntent(5, "p1"))
    assert bench.member("p1").status == LEFT
    assert list(bench.kinds())[-2:] == ["member-failed", "member-leave"]


def test_old_intents_do_not_count(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(JoinIntent(9, "p1"))
    bench.hear_serf(LeaveIntent(9, "p1"))
    assert bench.member("p1").status == ALIVE
    bench.hear_serf(LeaveIntent(10, "p1"))
    bench.hear_serf(JoinIntent(9, "p1"))
    assert bench.member("p1").status == LEAVING
    bench.hear_serf(JoinIntent(11, "p1"))
    assert bench.member("p1").status == ALIVE


def test_intents_about_strangers_wait_for_them(bench: Bench) -> None:
    bench.hear_serf(LeaveIntent(7, "p1"))
    bench.hear_serf(JoinIntent(6, "p1"))
    bench.hear_serf(JoinIntent(8, "p2"))
    bench.meet(1, 2)
    assert (bench.member("p1").status, bench.member("p1").status_ltime) == (LEAVING, 7)
    assert (bench.member("p2").status, bench.member("p2").status_ltime) == (ALIVE, 8)


def test_intents_witness_the_clock_and_travel_on_once(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(JoinIntent(41, "p1"))
    assert bench.core.serf.clock.time == 42
    queue = bench.core.serf.intent_queue
    before = len(queue)
    bench.hear_serf(JoinIntent(41, "p1"))
    assert len(queue) == before


def test_we_refute_that_we_leave(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(LeaveIntent(20, "me"))
    assert bench.member("me").status == ALIVE
    bench.forget()
    bench.advance(0.3)
    assert JoinIntent(21, "me") in bench.sent_serf(JoinIntent)
    assert not bench.sent_serf(LeaveIntent)


def test_a_leave_intent_that_passed_us_by_is_refuted_when_states_are_exchanged(bench: Bench) -> None:
    """Others who heard it, and met us only then, hold us for leaving until we say something newer."""
    bench.meet(1)
    merged(bench, SerfState(20, {"me": 20, "p1": 1}, (), 0, (), 0))
    bench.forget()
    bench.advance(0.3)
    (refutation,) = set(bench.sent_serf(JoinIntent))
    assert (refutation.node, refutation.ltime > 20) == ("me", True)
    bench.forget()
    merged(bench, SerfState(20, {"me": refutation.ltime, "p1": 1}, (), 0, (), 0))
    bench.advance(3.0)
    assert {intent.ltime for intent in bench.sent_serf(JoinIntent)} <= {refutation.ltime}, "it is said once"


def test_of_two_intents_at_one_time_the_members_own_counts(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(LeaveIntent(17, "p1"))
    merged(bench, SerfState(17, {"p1": 17}, (), 0, (), 0))
    assert bench.member("p1").status == LEAVING, "another member's belief is none of its own words"
    bench.hear_serf(JoinIntent(17, "p1"))
    assert bench.member("p1").status == ALIVE


def test_the_members_own_word_counts_before_it_is_met_too(bench: Bench) -> None:
    bench.hear_serf(LeaveIntent(17, "p1"))
    bench.hear_serf(JoinIntent(17, "p1"))
    bench.hear_serf(LeaveIntent(17, "p1"))
    bench.meet(1)
    assert (bench.member("p1").status, bench.member("p1").status_ltime) == (ALIVE, 17)


def test_we_refute_that_we_leave_at_the_time_at_which_we_said_that_we_stay(bench: Bench) -> None:
    """Two that tell of our leaving, and the second did not hear what we answered to the first."""
    bench.meet(1)
    bench.hear_serf(LeaveIntent(20, "me"))
    assert bench.member("me").status_ltime == 21
    for _ in range(2):
        bench.hear_serf(LeaveIntent(21, "me"))
        assert (bench.member("me").status, bench.member("me").status_ltime) == (ALIVE, 22), "it is said once"
    bench.forget()
    bench.advance(0.3)
    assert JoinIntent(22, "me") in bench.sent_serf(JoinIntent)


def test_a_leave_heard_from_a_state_is_no_newer_than_its_refutation(bench: Bench) -> None:
    """p1 was told to leave at 11 and stays since 12, which the one whom we ask first did not hear."""
    merged(bench, SerfState(13, {"p1": 11}, ("p1",), 0, (), 0))
    bench.meet(1)
    assert (bench.member("p1").status, bench.member("p1").status_ltime) == (LEAVING, 11)
    merged(bench, SerfState(13, {"p1": 12}, (), 0, (), 0))
    assert (bench.member("p1").status, bench.member("p1").status_ltime) == (ALIVE, 12)


def test_those_who_agree_that_a_member_left_do_not_make_it_newer_by_saying_so(bench: Bench) -> None:
    bench.meet(1)
    bench.hear_serf(LeaveIntent(30, "p1"))
    bench.hear(Dead(1, "p1", "p1"))
    clock = bench.core.serf.clock.time
    bench.core.serf.merge_state(bench.core.serf.local_state(False), False)
    assert (bench.member("p1").status_ltime, bench.core.serf.clock.time) == (30, clock)


def test_a_member_that_is_told_to_leave_and_stays_is_told_again(bench: Bench) -> None:
    """It may not have heard it, and only its answer ends that it is taken for leaving."""
    bench.meet(1, 2)
    bench.hear_serf(LeaveIntent(30, "p1"))
    bench.hear_serf(LeaveIntent(31, "p2"))
    bench.hear_serf(JoinIntent(32, "p2"))
    while bench.core.serf.intent_queue.fetch(2, 1400):
        pass
    bench.forget()
    bench.core.serf.reap()
    bench.core.swim.gossip()
    assert set(bench.sent_serf(LeaveIntent)) == {LeaveIntent(30, "p1")}


def test_a_pruned_member_that_contradicts_too_late_is_a_member_again(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear_serf(LeaveIntent(30, "p1", prune=True))
    timings = bench.core.swim.timings
    bench.core.context.enter(bench.now + timings.broadcast_timeout + timings.leave_propagate_delay + 0.1)
    bench.core.context.run_due()
    assert "p1" not in bench.core.serf.members
    bench.hear(Alive(2, "p1", address_of(1), 8301, b"", VERSIONS))
    bench.hear_serf(JoinIntent(31, "p1"))
    assert bench.member("p1").status == ALIVE
    bench.take()
    assert bench.kinds()[-1] == "member-join"


def test_a_rejoining_member_is_alive_again(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p2"))
    bench.meet(1, incarnation=2)
    assert bench.member("p1").status == ALIVE
    assert bench.kinds()[-1] == "member-join"


def test_force_leave_of_a_failed_member(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear(Dead(1, "p1", "p2"))
    assert bench.core.serf.force_leave("p1", prune=False) is not None
    assert bench.member("p1").status == LEFT
    bench.core.serf.force_leave("p1", prune=True)
    bench.take()
    assert "p1" not in bench.core.serf.members
    assert bench.kinds()[-1] == "member-reap"


def test_pruning_a_living_member_gives_it_time_to_refute(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear_serf(LeaveIntent(30, "p1", prune=True))
    bench.hear_serf(LeaveIntent(31, "p2", prune=True))
    bench.hear_serf(JoinIntent(32, "p1"))
    timings = bench.core.swim.timings
    bench.core.context.after(0, lambda: None)
    for name in ("p1", "p2"):
        assert name in bench.core.serf.members
    # Nobody answers probes here; only the timer of the pruning is of interest.
    bench.core.context.enter(bench.now + timings.broadcast_timeout + timings.leave_propagate_delay + 0.1)
    bench.core.context.run_due()
    assert "p1" in bench.core.serf.members
    assert "p2" not in bench.core.serf.members


def test_our_own_leave(bench: Bench) -> None:
    bench.meet(1)
    bench.core.context.enter(bench.now)
    assert bench.core.serf.begin_leave() is not None
    assert bench.member("me").status == LEAVING
    bench.core.swim.leave()
    assert bench.member("me").status == LEFT
    bench.forget()
    bench.advance(0.5)
    assert [intent.node for intent in bench.sent_serf(LeaveIntent)][:1] == ["me"]


def test_too_large_tags_are_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="exceeds limit of 512 bytes"):
        bench.core.serf.set_tags({"a": "x" * 600})
    assert bench.member("me").tags == {"role": "node"}


def test_the_gone_are_forgotten_in_time(bench: Bench) -> None:
    bench.meet(1, 2)
    bench.hear_serf(LeaveIntent(5, "p2"))
    bench.hear(Dead(1, "p1", "p2"), Dead(1, "p2", "p2"))
    serf = bench.core.serf
    bench.core.context.enter(bench.now + 25 * 3600)
    serf.reap()
    assert set(serf.members) == {"me", "p1"}
    bench.core.context.enter(bench.now + 73 * 3600)
    serf.reap()
    assert set(serf.members) == {"me"}


def test_a_failed_member_is_tried_again(bench: Bench) -> None:
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p2"))
    bench.forget()
    bench.advance(31)
    assert [(stream.address, stream.port) for stream in bench.streams] == [(address_of(1), 8301)]


# --- whole states -----------------------------------------------------------------------------------------------------


def merged(bench: Bench, state: SerfState, ignore: bool = False) -> None:
    bench.core.serf.merge_state(state.encode(), ignore)
    bench.take()


def test_state_is_told_and_merged(bench: Bench) -> None:
    bench.meet(1, 2)
    merged(bench, SerfState(50, {"p1": 7, "p2": 30}, ("p2",), 60, (EventSlot(59, (("e", b"x"),)),), 70))
    serf = bench.core.serf
    assert (serf.clock.time, serf.events.clock.time, serf.queries.clock.time) == (50, 60, 70)
    assert (bench.member("p1").status_ltime, bench.member("p2").status) == (7, LEAVING)
    assert [event.name for event in bench.events if event.kind == "user"] == ["e"]
    assert len(serf.event_queue) == 0, "what came by push/pull is not gossiped again"
    told = decode_state(serf.local_state(False))
    assert told.status_ltimes == {"me": 0, "p1": 7, "p2": 30}
    assert told.events == (EventSlot(59, (("e", b"x"),)),)


def test_old_events_are_ignored_when_joining(bench: Bench) -> None:
    merged(bench, SerfState(1, {}, (), 60, (EventSlot(59, (("e", b"x"),)),), 1), ignore=True)
    assert "user" not in bench.kinds()
    bench.hear_serf(UserEvent(60, "new", b""))
    assert "user" in bench.kinds()


def test_empty_clocks_are_not_witnessed(bench: Bench) -> None:
    merged(bench, SerfState(0, {}, (), 0, (), 0))
    assert bench.core.serf.clock.time == 1


def test_a_state_with_nil_slots_is_accepted(bench: Bench) -> None:
    merged(bench, SerfState(2, {"me": 0}, (), 3, (None,) * 512, 4))
    assert bench.core.serf.clock.time == 2


# --- user events ------------------------------------------------------------------------------------------------------


def user_events(bench: Bench) -> list[tuple[str, bytes]]:
    return [(event.name, event.payload) for event in bench.events if event.kind == "user"]


def test_an_event_of_ours_is_delivered_and_told(bench: Bench) -> None:
    bench.meet(1)
    bench.core.serf.fire_event("deploy", b"1", True)
    bench.forget()
    bench.core.serf.fire_event("deploy", b"2", False)
    bench.take()
    assert user_events(bench) == [("deploy", b"2")]
    bench.advance(0.3)
    assert {event.ltime for event in bench.sent_serf(UserEvent)} == {1, 2}


def test_an_event_is_delivered_once(bench: Bench) -> None:
    for _ in range(3):
        bench.hear_serf(UserEvent(5, "a", b"1"))
    bench.hear_serf(UserEvent(5, "a", b"2"))
    bench.hear_serf(UserEvent(5, "b", b"1"))
    assert user_events(bench) == [("a", b"1"), ("a", b"2"), ("b", b"1")]
    assert bench.core.serf.events.clock.time == 6


def test_events_older_than_the_buffer_are_dropped(bench: Bench) -> None:
    bench.hear_serf(UserEvent(1000, "new", b""))
    bench.hear_serf(UserEvent(488, "old", b""))
    bench.hear_serf(UserEvent(490, "kept", b""))
    assert [name for name, _ in user_events(bench)] == ["new", "kept"]


def test_too_large_events_are_refused(bench: Bench) -> None:
    with pytest.raises(CallerError, match="exceeds sane limit of 512 bytes"):
        bench.core.serf.fire_event("e", bytes(512), False)
    assert bench.core.serf.events.clock.time == 1


# --- queries ----------------------------------------------------------------------------------------------------------


def query(**changes: object) -> Query:
    fields: dict[str, object] = {
        "ltime": 3, "id": 99, "address": address_of(1), "port": 8301, "source_node": "p1", "filters": (), "flags": 0,
        "relay_factor": 0, "timeout": 3_000_000_000, "name": "load", "payload": b"?",
    } | changes  # fmt: skip
    return Query(**fields)  # type: ignore[arg-type]


def test_a_query_is_delivered_once_acknowledged_and_answered_once(bench: Bench) -> None:
    bench.forget()
    for _ in range(2):
        bench.hear_serf(query(flags=1))
    (event,) = [event for event in bench.events if event.kind == "query"]
    assert (event.name, event.payload, event.source) == ("load", b"?", "p1")
    assert bench.sent_serf(QueryResponse) == [QueryResponse(3, 99, "me", 1)]
    bench.core.serf.queries.respond(event.query_id, b"0.5")
    assert bench.sent_serf(QueryResponse)[1:] == [QueryResponse(3, 99, "me", 0, b"0.5")]
    with pytest.raises(CallerError):
        bench.core.serf.queries.respond(event.query_id, b"again")


def test_answers_past_the_deadline_are_refused(bench: Bench) -> None:
    bench.hear_serf(query())
    bench.advance(3.1)
    with pytest.raises(CallerError):
        bench.core.serf.queries.respond(bench.events[-1].query_id, b"late")


@pytest.mark.parametrize(
    ("item", "passes"),
    [
        (node_filter(["me", "x"]), True),
        (node_filter(["p1"]), False),
        (tag_filter("role", "^no"), True),
        (tag_filter("role", "web"), False),
        (tag_filter("absent", "^$"), True),
        (b"\1\x82\xa4Expr\xa1(\xa3Tag\xa4role", False),
        (b"\7", False),
        (b"", False),
    ],
)
def test_filters_choose_who_answers_and_never_stop_the_query(bench: Bench, item: bytes, passes: bool) -> None:
    bench.hear_serf(query(filters=(item,)))
    assert ("query" in bench.kinds()) is passes
    assert len(bench.core.serf.query_queue) == 1


def test_a_query_may_forbid_to_be_passed_on(bench: Bench) -> None:
    bench.hear_serf(query(flags=2))
    assert len(bench.core.serf.query_queue) == 0
    assert "query" in bench.kinds()


def test_answers_are_relayed_when_asked_for(bench: Bench) -> None:
    bench.meet(1, 2, 3)
    bench.forget()
    bench.hear_serf(query(relay_factor=2, flags=1))
    relays = bench.sent_serf(Relay)
    assert len(relays) == 2
    assert relays[0].to == RelayAddress(address_of(1), 8301)
    assert decode_serf(relays[0].message) == QueryResponse(3, 99, "me", 1)


def test_we_relay_for_others(bench: Bench) -> None:
    answer = QueryResponse(3, 99, "p2", 0, b"x")
    bench.forget()
    bench.hear_serf(Relay(RelayAddress(address_of(9), 8301), "p9", answer.encode()))
    assert bench.sent_serf(QueryResponse) == [answer]


def test_our_own_query_collects_first_answers_until_its_end(bench: Bench) -> None:
    bench.meet(1, 2)
    query_id = bench.core.serf.queries.ask("load", b"", QueryOptions(want_acks=True, timeout=2.0))
    bench.take()
    for sender, payload in (("p1", b"1"), ("p1", b"again"), ("p2", b"2")):
        bench.hear_serf(QueryResponse(1, query_id, sender, 0, payload))
    bench.hear_serf(QueryResponse(2, query_id, "p3", 0, b"other time"))
    bench.hear_serf(QueryResponse(1, query_id + 1, "p3", 0, b"other id"))
    answers = [effect for effect in bench.other if isinstance(effect, QueryAnswer)]
    assert [(answer.sender, answer.payload) for answer in answers] == [("p1", b"1"), ("p2", b"2")]
    bench.advance(2.1)
    assert QueryDone(query_id) in bench.other
    bench.hear_serf(QueryResponse(1, query_id, "p3", 0, b"late"))
    assert len([effect for effect in bench.other if isinstance(effect, QueryAnswer)]) == 2


def test_default_timeout_is_that_of_the_reference(bench: Bench) -> None:
    bench.meet(*range(1, 9))
    assert bench.core.serf.queries.default_timeout() == pytest.approx(3.2)
    bench.meet(9)
    assert bench.core.serf.queries.default_timeout() == pytest.approx(6.4)


def test_conflict_queries_are_answered_by_those_who_know(bench: Bench) -> None:
    bench.meet(1)
    bench.forget()
    bench.hear_serf(query(name="_serf_conflict", payload=b"p1", id=1))
    bench.hear_serf(query(name="_serf_conflict", payload=b"stranger", id=2))
    bench.hear_serf(query(name="_serf_conflict", payload=b"me", id=3))
    known, unknown = bench.sent_serf(QueryResponse)
    state = decode_serf(known.payload)
    assert isinstance(state, ConflictResponse) and state.member is not None
    assert (state.member.name, state.member.tags) == ("p1", {"n": "1"})
    assert decode_serf(unknown.payload) == ConflictResponse(None)
    assert "query" not in bench.kinds()


@pytest.mark.parametrize(("ours", "theirs", "stops"), [(2, 1, False), (1, 2, True), (0, 0, True)])
def test_a_name_conflict_is_decided_by_the_majority(ours: int, theirs: int, stops: bool) -> None:
    bench = Bench(resolve_conflicts=True)
    bench.hear(Alive(9, "me", address_of(66), 8301, b"\xff\x80", VERSIONS))
    query_id = next(iter(bench.core.serf.queries._own))
    for index in range(ours + theirs):
        address = bench.core.swim.config.address if index < ours else address_of(66)
        state = MemberState("me", address, 8301, {}, 1, 1, 5, 2, 2, 5, 4)
        bench.hear_serf(QueryResponse(1, query_id, f"p{index}", 0, ConflictResponse(state).encode()))
    bench.advance(4.0)
    assert any(isinstance(effect, ShutDown) for effect in bench.other) is stops


def test_a_name_conflict_is_only_logged_unless_configured(bench: Bench) -> None:
    bench.hear(Alive(9, "me", address_of(66), 8301, b"\xff\x80", VERSIONS))
    assert not bench.core.serf.queries._own


# --- keys -------------------------------------------------------------------------------------------------------------


def key_answer(bench: Bench, operation: str, key: bytes = b"") -> KeyResponse:
    bench.forget()
    ltime = bench.core.serf.queries.clock.time
    body = KeyRequest(key).encode()
    bench.core.serf.user_message(query(ltime=ltime, name=f"_serf_{operation}", payload=body).encode())
    answer = decode_serf(bench.sent_serf(QueryResponse)[0].payload)
    assert isinstance(answer, KeyResponse)
    return answer


def test_keys_are_rotated_by_query(bench: Bench) -> None:
    old, new = bytes(16), bytes(range(32))
    ring = bench.security.ring = Keyring([old])
    assert key_answer(bench, "install-key", new).result
    assert ring.keys == [old, new]
    refused = key_answer(bench, "remove-key", old)
    assert (refused.result, refused.message) == (False, "Removing the primary key is not allowed")
    assert key_answer(bench, "use-key", new).result
    assert KeyringChanged((new, old)) in bench.other
    listed = key_answer(bench, "list-keys")
    assert (len(listed.keys), listed.primary_key) == (2, listed.keys[0])
    assert key_answer(bench, "remove-key", old).result
    assert ring.keys == [new]
    unknown = key_answer(bench, "use-key", bytes(24))
    assert (unknown.result, unknown.message) == (False, "Requested key is not in the keyring")
    assert not key_answer(bench, "install-key", bytes(5)).result


def test_key_queries_without_encryption_are_refused(bench: Bench) -> None:
    assert key_answer(bench, "install-key", bytes(16)).message == "No keyring to modify (encryption not enabled)"
    assert key_answer(bench, "list-keys").message == "Keyring is empty (encryption not enabled)"


def test_a_long_key_list_is_cut(bench: Bench) -> None:
    bench.security.ring = Keyring([index.to_bytes(32, "big") for index in range(40)])
    listed = key_answer(bench, "list-keys")
    assert listed.result and 0 < len(listed.keys) < 40
    assert f"first {len(listed.keys)} of 40" in listed.message


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_continues_clocks_and_knows_whom_to_ask() -> None:
    lines = ["alive: p 1 10.0.0.1:8301", "alive: me 10.0.0.200:8301", "clock: 5", "event-clock: 6", "query-clock: 7"]
    bench = Bench(snapshot_lines=lines)
    serf = bench.core.serf
    assert (serf.clock.time, serf.events.clock.time, serf.queries.clock.time) == (6, 7, 8)
    assert bench.core.restored_nodes == {"p 1": "10.0.0.1:8301"}
    bench.hear_serf(UserEvent(6, "seen", b""))
    bench.hear_serf(UserEvent(7, "new", b""))
    assert [name for name, _ in user_events(bench)] == ["new"]
    bench.hear_serf(query(ltime=7))
    assert "query" not in bench.kinds()


def test_what_happens_is_recorded() -> None:
    bench = Bench(snapshot_lines=[])
    bench.meet(1)
    bench.hear(Dead(1, "p1", "p2"))
    bench.hear_serf(UserEvent(9, "e", b""))
    bench.hear_serf(JoinIntent(4, "p1"))
    bench.core.serf.poll_clock()
    bench.take()
    met = ["alive: p1 10.0.0.1:8301", "not-alive: p1", "failed: p1 10.0.0.1:8301"]
    assert bench.records == ["alive: me 10.0.0.200:8301", *met, "event-clock: 9", "clock: 4"]
    bench.core.serf.begin_leave()
    bench.hear_serf(UserEvent(10, "e", b""))
    assert bench.records[-1] == "leave"


def test_a_push_pull_answer_is_our_state_before_the_merge(bench: Bench) -> None:
    bench.meet(1)
    assert bench.core.serve(bench.now, PushPull(True, ())) == bench.core.swim.state(True).encode()
