"""The small parts: suspicion, awareness, queue, clock, coordinates, member snapshot, patterns, keyring."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.clock import seeded_random
from pyconsul.errors import CallerError, ConfigError, DecodeError, StorageError
from pyconsul.gossip.awareness import Awareness
from pyconsul.gossip.context import Context, Record
from pyconsul.gossip.coordinate import Coordinate, CoordinateClient, decode_coordinate, distance
from pyconsul.gossip.keyring import Keyring, format_key, parse_key
from pyconsul.gossip.lamport import LamportClock
from pyconsul.gossip.queue import BroadcastQueue, retransmit_limit
from pyconsul.gossip.snapshot import Recorder, Restored, replay
from pyconsul.gossip.suspicion import Suspicion, bounds
from pyconsul.gossip.timings import LAN, WAN
from pyconsul.storage.keyring_file import load_keyring, save_keyring
from pyconsul.storage.member_snapshot import MemberSnapshotFile


@pytest.mark.parametrize(
    ("timings", "members", "expected"),
    [
        (LAN, 2, (0, 4.0, 24.0)),
        (LAN, 3, (0, 4.0, 24.0)),
        (LAN, 4, (2, 4.0, 24.0)),
        (LAN, 10, (2, 4.0, 24.0)),
        (LAN, 100, (2, 8.0, 48.0)),
        (LAN, 50, (2, 6.792, 40.752)),
        (WAN, 10, (4, 30.0, 180.0)),
    ],
)
def test_suspicion_bounds(timings: object, members: int, expected: tuple[int, float, float]) -> None:
    assert bounds(timings, members) == pytest.approx(expected)  # type: ignore[arg-type]


def test_confirmations_bring_the_deadline_nearer() -> None:
    suspicion = Suspicion("a", 2, 4.0, 24.0, now=100.0)
    assert suspicion.deadline == 124.0
    assert not suspicion.confirm("a")
    assert suspicion.confirm("b") and not suspicion.confirm("b")
    assert suspicion.deadline == pytest.approx(111.381)
    assert suspicion.confirm("c") and not suspicion.confirm("d")
    assert suspicion.deadline == 104.0
    assert Suspicion("a", 0, 4.0, 24.0, now=0.0).deadline == 4.0


def test_awareness_is_clamped() -> None:
    awareness = Awareness(8)
    awareness.apply(-3)
    assert awareness.scale(1.0) == 1.0
    awareness.apply(100)
    assert (awareness.score, awareness.scale(1.0)) == (7, 8.0)


def test_lamport_clock() -> None:
    clock = LamportClock()
    clock.witness(0)
    assert clock.time == 1
    clock.witness(1)
    assert clock.time == 2
    clock.increment()
    clock.witness(2)
    assert clock.time == 3


@pytest.mark.parametrize(("members", "limit"), [(1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)])
def test_retransmit_limit(members: int, limit: int) -> None:
    assert retransmit_limit(4, members) == limit


def queue_of(members: int = 3) -> tuple[BroadcastQueue, list[int]]:
    finished: list[int] = []
    return BroadcastQueue(4, lambda: members, finished.append), finished


def test_a_message_is_sent_up_to_the_limit_then_reported() -> None:
    queue, finished = queue_of()
    queue.push(b"hello", token=5)
    assert [queue.fetch(2, 100) for _ in range(5)] == [[b"hello"]] * 4 + [[]]
    assert finished == [5] and len(queue) == 0


def test_a_newer_message_of_a_name_replaces_the_older() -> None:
    queue, finished = queue_of()
    queue.push(b"old", "n", token=1)
    queue.push(b"new", "n")
    queue.push(b"event")
    queue.push(b"event")
    assert finished == [1]
    assert sorted(queue.fetch(2, 100)) == [b"event", b"event", b"new"]


def test_the_longest_that_fits_goes_first_and_the_least_sent_before_the_rest() -> None:
    queue, _ = queue_of()
    for message in (b"a" * 10, b"b" * 50, b"c" * 30, b"d" * 30):
        queue.push(message)
    assert queue.fetch(2, 45) == [b"d" * 30, b"a" * 10]
    assert queue.fetch(2, 200)[:2] == [b"b" * 50, b"c" * 30]


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(0, 200), st.integers(1, 3))
def test_fetch_never_exceeds_its_limit_and_wastes_no_room(sizes: list[int], limit: int, overhead: int) -> None:
    queue, _ = queue_of()
    for index, size in enumerate(sizes):
        queue.push(bytes((index,)) * size)
    fetched = queue.fetch(overhead, limit)
    used = sum(len(message) + overhead for message in fetched)
    assert used <= limit
    left = sorted(sizes)
    for message in fetched:
        left.remove(len(message))
    assert not left or left[0] + overhead > limit - used


def test_pruning_drops_what_was_sent_most() -> None:
    queue, finished = queue_of()
    queue.push(b"sent", token=9)
    queue.fetch(2, 100)
    queue.push(b"fresh")
    assert queue.prune(1) == 1
    assert finished == [9] and queue.fetch(2, 100) == [b"fresh"]


# --- coordinates ------------------------------------------------------------------------------------------------------


def test_coordinates_learn_round_trip_times() -> None:
    """Three members in a line, 10 ms and 30 ms apart: estimates come close to the truth."""
    random = seeded_random(1)
    clients = [CoordinateClient(random) for _ in range(3)]
    truth = {(0, 1): 0.010, (1, 2): 0.020, (0, 2): 0.030}
    for _ in range(400):
        for (a, b), seconds in truth.items():
            clients[a].update(str(b), clients[b].coordinate, seconds)
            clients[b].update(str(a), clients[a].coordinate, seconds)
    for (a, b), seconds in truth.items():
        assert distance(clients[a].coordinate, clients[b].coordinate) == pytest.approx(seconds, rel=0.15)


def test_one_observation_by_hand() -> None:
    """From two fresh places: far = 2e-5, wrong = (0.1-2e-5)/0.1, weight 1/2."""
    client = CoordinateClient(seeded_random(1))
    client.update("n", Coordinate(), 0.1)
    wrong = (0.1 - 2e-5) / 0.1
    assert client.coordinate.error == pytest.approx(min(1.5, 0.25 * 0.5 * wrong + 1.5 * 0.875))
    assert math.hypot(*client.coordinate.vector) == pytest.approx(0.125 * (0.1 - 2e-5), rel=1e-4)


@pytest.mark.parametrize("seconds", [-0.1, 10.1, math.nan, math.inf])
def test_impossible_round_trips_are_refused(seconds: float) -> None:
    client = CoordinateClient(seeded_random(1))
    with pytest.raises(DecodeError):
        client.update("n", Coordinate(), seconds)
    assert client.coordinate == Coordinate()


def test_coordinates_on_the_wire() -> None:
    coordinate = Coordinate((0.1,) * 8, 0.5, -0.001, 0.002)
    assert decode_coordinate(coordinate.encode()) == coordinate
    assert decode_coordinate(b"") is None and decode_coordinate(b"\x02\x80") is None
    for bad in (Coordinate((0.1,) * 7), Coordinate(error=math.nan)):
        with pytest.raises(DecodeError):
            decode_coordinate(bad.encode())


# --- member snapshot --------------------------------------------------------------------------------------------------


def test_replay_folds_lines() -> None:
    lines = [
        "alive: a b 1.2.3.4:1",
        "alive: c [::1]:2",
        "not-alive: c",
        "clock: 7",
        "# x",
        "coordinate: {}",
        "nonsense",
    ]
    assert replay(lines, False) == Restored({"a b": "1.2.3.4:1"}, 7)
    assert replay([*lines, "leave"], False) == Restored({})
    assert replay([*lines, "leave"], True) == Restored({"a b": "1.2.3.4:1"}, 7)
    assert replay(["clock: -1", "clock: x", "alive: x"], False) == Restored({})


def test_of_what_a_power_cut_left_only_whole_addresses_count() -> None:
    broken = [
        "\0" * 9,
        "10.0.0.\0" + ":8301",
        "10.0.0.2",
        "10.0.0:8301",
        ":8301",
        "10.0.0.2:",
        "10.0.0.2:999999",
        "host:1",
    ]
    assert replay([f"alive: x {address}" for address in broken], False) == Restored({})
    whole = {"a": "10.0.0.2:8301", "b": "[fd00::2]:8301"}
    assert replay([f"alive: {name} {address}" for name, address in whole.items()], False) == Restored(whole)


@given(st.lists(st.text(max_size=40)))
def test_replay_is_total(lines: list[str]) -> None:
    replay(lines, False)


def test_the_file_is_rewritten_when_it_has_grown() -> None:
    context = Context(seeded_random(1))
    recorder = Recorder(context, Restored({}), 0)
    recorder.alive("a", "1.2.3.4:1")
    for time in range(2, 20_000):
        recorder.clock(time)
    effects = context.effects()
    rewrites = [effect for effect in effects if isinstance(effect, Record) and effect.rewrite]
    assert len(rewrites) >= 1
    last = max(index for index, effect in enumerate(effects) if isinstance(effect, Record) and effect.rewrite)
    lines = [line for effect in effects[last:] if isinstance(effect, Record) for line in effect.lines]
    assert replay(lines, False) == Restored({"a": "1.2.3.4:1"}, 19_998)


def test_the_file_keeps_lines_and_survives_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "serf" / "local.snapshot"
    file, lines = MemberSnapshotFile.open(path)
    assert lines == []
    file.append(["alive: a 1.2.3.4:1", "clock: 1"], sync=True)
    file.close()
    with path.open("ab") as raw:
        raw.write(b"alive: tor")
    file, lines = MemberSnapshotFile.open(path)
    assert lines == ["alive: a 1.2.3.4:1", "clock: 1"]
    file.append(["clock: 22"])
    file.close()
    assert MemberSnapshotFile.open(path)[1] == ["alive: a 1.2.3.4:1", "clock: 1", "clock: 22"]
    file, _ = MemberSnapshotFile.open(path)
    file.rewrite(["clock: 9"])
    file.append(["clock: 10"])
    file.close()
    assert path.read_bytes() == b"clock: 9\nclock: 10\n"
    with pytest.raises(StorageError, match="closed"):
        file.append(["x"])


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keyring_operations() -> None:
    ring = Keyring([b"a" * 16])
    ring.install(b"b" * 32)
    ring.install(b"b" * 32)
    ring.use(b"b" * 32)
    assert ring.keys == [b"b" * 32, b"a" * 16]
    ring.remove(b"c" * 16)
    with pytest.raises(CallerError, match="primary"):
        ring.remove(b"b" * 32)
    with pytest.raises(CallerError):
        ring.install(b"short")


@pytest.mark.parametrize("text", ["", "x", "AAAA", "=" * 24, format_key(bytes(33))])
def test_bad_keys_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_key(text)
    assert text == "" or text not in str(caught.value)


def test_the_keyring_file(tmp_path: Path) -> None:
    path = tmp_path / "serf" / "local.keyring"
    assert load_keyring(path) is None
    save_keyring(path, [bytes(16), bytes(range(32))])
    assert load_keyring(path) == [bytes(16), bytes(range(32))]
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text('["tooshort"]')
    with pytest.raises(ConfigError, match=r"local\.keyring"):
        load_keyring(path)
