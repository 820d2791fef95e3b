"""Answers that are given again are those that would be made anew."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.kept_entries import ENTRIES_MAX, VALUE_BYTES_MAX, KeptEntries
from pyconsul.api.kv import TRUE, KeyRead
from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.api.response import Response
from pyconsul.clock import seeded_random
from pyconsul.fsm.commands import KVSet
from pyconsul.records.kv import KVEntry
from pyconsul.server.backend import ReadMeta
from pyconsul.state.store import Store
from pyconsul.testing.local_backend import LocalBackend

USUAL = ReadMeta(known_leader=True, last_contact_ms=0, forwarded=False)
METAS = st.sampled_from([USUAL, ReadMeta(True, 0, True), ReadMeta(True, 7, False), ReadMeta(False, 0, False)])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "delete", "acquire", "restore", "read", "read"]),
        st.sampled_from([b"a", b"b<"]),
        st.sampled_from([b"", b"1", b"2" * (VALUE_BYTES_MAX + 1)]),
        METAS,
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_a_kept_answer_is_the_answer(steps: list[tuple[str, bytes, bytes, ReadMeta, bool]]) -> None:
    kept, store = KeptEntries(), Store()
    for number, (what, key, value, meta, raw) in enumerate(steps):
        index = number + 2
        if what == "set":
            store.kv.set(index, key, value, 0)
        elif what == "delete":
            store.kv.delete(index, key)
        elif what == "acquire":
            store.kv.acquire(index, key, value, 1, "session")
        elif what == "restore":
            store = Store()
        for _ in range(2):
            answer = KeyRead(kept, key, raw).answer(store, meta)
            expected = KeyRead(KeptEntries(), key, raw).answer(store, meta)
            assert (answer.status, answer.head, answer.body) == (expected.status, expected.head, expected.body)
            assert answer.is_json == expected.is_json


def test_only_some_and_only_short_entries_are_kept() -> None:
    kept = KeptEntries()
    entries = [KVEntry(b"%d" % number, b"x", 0, 1, 1) for number in range(ENTRIES_MAX + 1)]
    for entry in entries[:-1]:
        kept.keep(entry, Response(200))
    assert all(kept.find(entry) is not None for entry in entries[:-1])
    kept.keep(entries[-1], Response(200))
    assert [kept.find(entry) is not None for entry in (entries[0], entries[-1])] == [False, True]
    large = KVEntry(b"large", b"x" * (VALUE_BYTES_MAX + 1), 0, 1, 1)
    kept.keep(large, Response(200))
    assert kept.find(large) is None


class HandClock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def get(app: App, target: bytes = b"/v1/kv/a", method: bytes = b"GET") -> tuple[Request, Response]:
    request = Request(method, target, {b"host": b"x"})
    answer = app.handle(request)
    assert isinstance(answer, Response)
    return request, answer


async def test_what_was_sent_is_sent_again_within_its_second_and_only_where_it_is_the_same() -> None:
    backend = LocalBackend()
    backend.consensus.apply(KVSet(b"a", b"1"))
    clock = HandClock()
    app = App(Api(backend, HttpSettings(), EventBuffer(), clock, seeded_random(1)))
    first = app.wire(*get(app), True)
    assert app.wire(*get(app), True) is first
    assert app.wire(*get(app), False).count(b"Connection: close\r\n") == 1
    assert app.wire(*get(app), True, http_1_0=True).startswith(b"HTTP/1.0 ")
    assert app.wire(*get(app, method=b"HEAD"), True).endswith(b"\r\n\r\n")
    assert b'"Key": "a"' in app.wire(*get(app, b"/v1/kv/a?pretty"), True)
    assert app.wire(*get(app), True) is first

    clock.now += 1
    later = app.wire(*get(app), True)
    assert later != first
    assert later.replace(b"22:13:21", b"22:13:20") == first

    app.configure(HttpSettings(response_headers={"x-new": "1"}))
    assert b"X-New: 1\r\n" in app.wire(*get(app), True)
    backend.consensus.apply(KVSet(b"a", b"2"))
    assert b'"Value":"Mg=="' in app.wire(*get(app), True)


async def test_one_answer_of_two_servers_is_sent_as_each_of_them_sends_it() -> None:
    clock = HandClock()
    apps = [
        App(Api(LocalBackend(), HttpSettings(response_headers=headers), EventBuffer(), clock, seeded_random(1)))
        for headers in ({}, {"x-other": "1"})
    ]
    request = Request(b"PUT", b"/v1/kv/a")
    request.known = True
    sent = [app.wire(request, TRUE, True) for app in (*apps, *apps)]
    assert [b"X-Other: 1\r\n" in data for data in sent] == [False, True, False, True]
