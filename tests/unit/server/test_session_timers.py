"""Deadlines of sessions and lock-delays: time is a number here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyconsul.records.session import Session
from pyconsul.server.lock_delays import LockDelays
from pyconsul.server.session_timers import SessionTimers


def session(name: str, ttl: str) -> Session:
    return Session(name, "", "n", 0, "release", ttl, [], None, [])


def test_a_session_ends_after_twice_its_ttl() -> None:
    timers = SessionTimers()
    timers.start(session("a", "10s"), 100.0)
    assert timers.next_deadline() == 120.0
    assert timers.expired(119.9) == []
    assert timers.expired(120.0) == ["a"]
    assert timers.expired(999.0) == []
    assert timers.next_deadline() is None


def test_a_renewal_starts_its_time_again() -> None:
    timers = SessionTimers()
    timers.start(session("a", "10s"), 0.0)
    timers.start(session("b", "10s"), 1.0)
    timers.start(session("a", "10s"), 15.0)
    assert timers.expired(22.0) == ["b"]
    assert timers.next_deadline() == 35.0


def test_sessions_without_a_ttl_have_no_deadline() -> None:
    timers = SessionTimers()
    for ttl in ("", "0", "0s", "-5s", "what an older version let pass"):
        timers.start(session(ttl, ttl), 0.0)
    assert len(timers) == 0 and timers.next_deadline() is None


def test_a_new_leader_gives_everybody_the_full_time() -> None:
    timers = SessionTimers()
    timers.start(session("gone", "10s"), 0.0)
    timers.restart([session("a", "10s"), session("b", "20s"), session("c", "")], 50.0)
    assert timers.expired(69.0) == []
    assert timers.expired(70.0) == ["a"]
    assert timers.expired(90.0) == ["b"]


def test_a_session_that_ended_by_other_means_is_not_told() -> None:
    timers = SessionTimers()
    timers.start(session("a", "10s"), 0.0)
    timers.stop("a")
    timers.stop("unknown")
    assert timers.expired(100.0) == []


def test_renewals_do_not_pile_up() -> None:
    timers = SessionTimers()
    for second in range(10_000):
        timers.start(session("a", "10s"), float(second))
    assert len(timers._heap) < 200
    assert timers.expired(10_018.0) == [] and timers.expired(10_019.0) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "stop"]), st.integers(0, 50))))
def test_timers_agree_with_a_plain_dict(steps: list[tuple[str, str, int]]) -> None:
    timers, model, now = SessionTimers(), dict[str, float](), 0.0
    for name, step, pause in steps:
        now += pause
        due = sorted((end, key) for key, end in model.items() if end <= now)
        assert timers.expired(now) == [key for _, key in due]
        for _, key in due:
            del model[key]
        if step == "start":
            timers.start(session(name, "10s"), now)
            model[name] = now + 20
        else:
            timers.stop(name)
            model.pop(name, None)
        assert timers.next_deadline() == min(model.values(), default=None)


def test_a_lock_delay_belongs_to_the_key_and_ends() -> None:
    delays = LockDelays()
    delays.start([b"a", b"b"], 15_000_000_000, 100.0)
    assert delays.delayed(b"a", 114.9) and not delays.delayed(b"c", 100.0)
    assert not delays.delayed(b"a", 115.0)
    assert len(delays) == 0


def test_a_lock_delay_is_at_most_a_minute_and_none_below_zero() -> None:
    delays = LockDelays()
    delays.start([b"a"], 3_600_000_000_000, 0.0)
    delays.start([b"b"], 0, 0.0)
    delays.start([b"c"], -1, 0.0)
    assert delays.delayed(b"a", 59.9) and not delays.delayed(b"a", 60.0)
    assert not delays.delayed(b"b", 0.0) and not delays.delayed(b"c", 0.0)


def test_the_longer_of_two_delays_holds() -> None:
    delays = LockDelays()
    delays.start([b"a"], 10_000_000_000, 0.0)
    delays.start([b"a"], 1_000_000_000, 5.0)
    assert delays.delayed(b"a", 9.0) and not delays.delayed(b"a", 10.0)
    delays.start([b"a"], 10_000_000_000, 20.0)
    delays.clear()
    assert not delays.delayed(b"a", 20.0)
