"""The replay must find nothing in a store that does what dockerd needs, and find each single thing that is broken."""

from __future__ import annotations

import asyncio
import lzma
from functools import cache

import pytest
from docker_cluster_store.compare import IndexMap
from docker_cluster_store.fake_store import DEFECTS, FakeStore
from docker_cluster_store.replay import Report, replay
from docker_cluster_store.trace import SCENARIOS, TRACES, Exchange, load

# Where a defect shows, and the heading of RULES.md under which it must be reported.
EXPECTED = {
    "answers with the store's index for one key": ("start", "index header"),
    "no index header": ("start", "index header"),
    "LockDelay as text": ("start", "sessions"),
    "renewal unknown": ("start", "status"),
    "plain put drops the session": ("start", "locks"),
    "lists reversed": ("start", "order of lists"),
    "lists without the folder key": ("start", "status"),
    "lists with neighbours": ("start", "entries"),
    "flags as floating point": ("start", "entries"),
    "check-and-set always true": ("churn-sample", "writes"),
    "check-and-set always false": ("churn-sample", "writes"),
    "deletes nothing with its session": ("failure", "blocking"),
    "watches do not wait": ("start", "blocking"),
    "same value is a change": ("start", "index relations"),
    "delete does not wake": ("failure", "blocking"),
    "values lose their last byte": ("start", "values"),
    "closes connections": ("start", "connections"),
    "404 as an empty object": ("start", "status"),
    "index falls behind": ("start", "blocking"),
}


async def replay_fake(scenario: str, defect: str = "") -> Report:
    store = FakeStore(defect)
    urls = await store.start()
    try:
        return await replay(scenario, urls, patience_s=1.0 if defect else 20.0, differences_max=8)
    finally:
        await store.stop()


@cache
def broken_reports() -> dict[str, Report]:
    """All broken stores at once, because most of the time goes into waiting for answers that never come."""

    async def replay_all() -> list[Report]:
        return await asyncio.gather(*(replay_fake(EXPECTED[defect][0], defect) for defect in DEFECTS))

    return dict(zip(DEFECTS, asyncio.run(replay_all()), strict=True))


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "outage"])
async def test_a_sound_store_shows_no_difference(scenario: str) -> None:
    report = await replay_fake(scenario)
    assert not report.differences, str(report)
    answered = [each for each in load(scenario).exchanges if each.status]
    assert report.compared == len(answered)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_broken_store_is_found_out(defect: str) -> None:
    report = broken_reports()[defect]
    assert EXPECTED[defect][1] in {difference.rule for difference in report.differences}, str(report)


def test_index_map_wants_equal_for_equal_and_larger_for_larger() -> None:
    indexes = IndexMap()
    for recorded, got in ((10, 100), (20, 200)):
        assert indexes.complaint(recorded, got) is None
        indexes.learn(recorded, got)
    assert indexes.complaint(10, 100) is None
    assert indexes.complaint(15, 150) is None
    for recorded, got in ((10, 101), (15, 100), (15, 200), (15, 90), (15, 250), (30, 200), (5, 100)):
        assert indexes.complaint(recorded, got), (recorded, got)


def test_the_trace_tells_who_won() -> None:
    """Each check-and-set that was refused in the churn has somebody before it who changed the key."""
    exchanges = load("churn-sample").exchanges
    refused = [each for each in exchanges if each.method != "GET" and each.status == 200 and b"false" in each.answer]
    assert len(refused) == 8
    for loser in refused:
        winners = [
            each
            for each in exchanges
            if each.key == loser.key and each.succeeded and each.t < loser.t_done and each.method != "GET"
        ]
        assert winners, str(loser)


def test_an_order_of_effect_never_contradicts_the_clock() -> None:
    for name in SCENARIOS:
        exchanges = load(name).exchanges
        for exchange in exchanges:
            for number in exchange.after:
                assert exchanges[number].t < exchange.t_done, f"{exchange} after {exchanges[number]}"


def test_session_ends_are_found_where_engines_died() -> None:
    ends = load("failure").session_ends
    assert [end.key.rpartition("/")[2] for end in ends] == ["192.168.10.82:2375", "192.168.10.81:2375"]
    assert all(59.5 < end.t - end.renewed < 61.0 for end in ends)


def test_traces_are_plain_xz_and_complete() -> None:
    counts = {name: len(load(name).exchanges) for name in SCENARIOS}
    assert counts == {
        "churn-sample": 2869,
        "failure": 347,
        "network": 1028,
        "outage": 1238,
        "path": 801,
        "start": 181,
        "tls": 570,
    }
    for path in TRACES.rglob("*.xz"):
        assert lzma.decompress(path.read_bytes()).endswith(b"\n")


def test_a_watch_that_saw_no_change_is_recognised() -> None:
    expired = [each for each in load("start").exchanges if each.expired]
    assert len(expired) == 12
    assert all(isinstance(each, Exchange) and 15.0 <= each.t_done - each.t <= 16.0 for each in expired)
