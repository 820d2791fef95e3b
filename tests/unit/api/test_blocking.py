"""Waiting reads: what wakes them, what does not, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.api.response import Deferred, Response
from pyconsul.clock import SystemClock
from pyconsul.fsm.commands import KVDelete, KVDeleteTree, KVOp, KVSet, SessionDestroy, Txn
from pyconsul.testing.local_backend import LocalBackend


class Site:
    def __init__(self) -> None:
        self.backend = LocalBackend()
        self.apply = self.backend.consensus.apply
        self.events = EventBuffer()
        self.app = App(Api(self.backend, HttpSettings(), self.events, SystemClock(), random.Random(1)))

    @property
    def watches(self) -> int:
        return len(self.backend.consensus.store.watches)

    @property
    def index(self) -> int:
        return self.backend.consensus.machine.applied_index

    def ask(self, target: str) -> Pending:
        answer = self.app.handle(Request(b"GET", target.encode()))
        assert isinstance(answer, (Deferred, Response))
        return Pending(answer)


class Pending:
    """An answer that may be there or not."""

    def __init__(self, answer: Deferred | Response) -> None:
        self.deferred = answer if isinstance(answer, Deferred) else None
        self.response = answer if isinstance(answer, Response) else None
        if self.deferred is not None:
            self.deferred.then(self._done)

    def _done(self, response: Response) -> None:
        assert self.response is None, "answered twice"
        self.response = response

    @property
    def done(self) -> bool:
        return self.response is not None

    @property
    def answer_index(self) -> int:
        assert self.response is not None
        lines = dict(line.split(b": ") for line in self.response.head.split(b"\r\n") if line)
        return int(lines[b"X-Consul-Index"])


async def settle() -> None:
    """Lets everything run that is due."""
    for _ in range(3):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)


async def test_a_key_wakes_its_reader_only() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    pending = site.ask(f"/v1/kv/a?index={site.index}")
    for command in (KVSet(b"b", b"1"), KVSet(b"a", b"1"), KVDelete(b"none"), KVSet(b"ab", b"1")):
        site.apply(command)
        await settle()
        assert not pending.done
    site.apply(KVSet(b"a", b"2"))
    await settle()
    assert pending.answer_index == site.index
    assert site.watches == 0


async def test_a_transaction_is_seen_whole() -> None:
    site = Site()
    site.apply(KVSet(b"a/1", b"1"))
    pending = site.ask(f"/v1/kv/a?recurse&index={site.index}")
    site.apply(Txn([KVOp("set", b"a/1", b"2"), KVOp("set", b"a/2", b"2"), KVOp("delete", b"a/1")]))
    await settle()
    assert pending.response is not None
    assert [entry["Key"] for entry in json.loads(pending.response.body)] == ["a/2"]


async def test_a_delete_wakes_the_lists_above_it() -> None:
    site = Site()
    site.apply(KVSet(b"a/x/1", b"1"))
    index = site.index
    above, keys, beside = (site.ask(f"/v1/kv/{target}&index={index}") for target in ("a?recurse", "a?keys", "b?keys"))
    site.apply(KVDeleteTree(b"a/x/"))
    await settle()
    assert above.done and keys.done and above.response is not None and above.response.status == 404
    assert above.answer_index == site.index
    beside_deferred = beside.deferred
    assert not beside.done and beside_deferred is not None
    beside_deferred.cancel()
    assert site.watches == 0


async def test_an_old_index_does_not_wait() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    assert site.ask(f"/v1/kv/a?index={site.index - 1}&wait=10m").done
    assert site.ask("/v1/kv/a?index=0&wait=10m").done


async def test_the_end_of_the_time_gives_the_same_answer() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    pending = site.ask(f"/v1/kv/a?raw&index={site.index}&wait=1ms")
    await until(lambda: pending.done)
    assert pending.response is not None and pending.response.body == b"1"
    assert pending.answer_index == site.index
    assert site.watches == 0


async def test_a_future_index_waits_and_answers_with_the_lower_one() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    pending = site.ask("/v1/kv/a?index=18446744073709551615&wait=5ms")
    site.apply(KVSet(b"a", b"2"))
    await settle()
    assert not pending.done
    await until(lambda: pending.done)
    assert pending.answer_index == site.index


async def test_a_restored_snapshot_wakes_everybody() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    chunks = list(site.backend.consensus.machine.snapshot())
    site.apply(KVSet(b"a", b"2"))
    early = site.index - 1
    pending = site.ask(f"/v1/kv/a?index={site.index}&wait=5m")
    site.backend.consensus.machine.restore(chunks)
    await settle()
    # Its index is behind now: it waits on in the new state, where the next write wakes it.
    assert not pending.done and site.watches == 1 and site.index == early
    site.apply(KVSet(b"b", b"1"))
    site.apply(KVSet(b"a", b"3"))
    await settle()
    assert pending.answer_index == site.index


async def test_many_readers_of_one_key_wake_together() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    readers = [site.ask(f"/v1/kv/a?index={site.index}") for _ in range(1000)]
    assert site.watches == 1000
    site.apply(KVSet(b"a", b"2"))
    await settle()
    assert all(reader.done for reader in readers)
    assert site.watches == 0


async def test_hurry_answers_at_once() -> None:
    site = Site()
    site.apply(KVSet(b"a", b"1"))
    pending = site.ask(f"/v1/kv/a?index={site.index}")
    assert pending.deferred is not None
    pending.deferred.hurry()
    assert pending.done and site.watches == 0
    pending.deferred.hurry()
    pending.deferred.cancel()


async def test_sessions_and_catalog() -> None:
    site = Site()
    creating = site.app.handle(Request(b"PUT", b"/v1/session/create"))
    assert asyncio.iscoroutine(creating)
    created = await creating
    assert isinstance(created, Response)
    session_id = json.loads(created.body)["ID"]
    index = site.index
    one, everything, of_node, nodes = (
        site.ask(f"/v1/{target}?index={index}")
        for target in (f"session/info/{session_id}", "session/list", "session/node/LOCAL", "catalog/nodes")
    )
    site.apply(SessionDestroy(session_id))
    await settle()
    assert one.response is not None and one.response.body == b"[]"
    assert everything.done and of_node.done and not nodes.done
    assert nodes.deferred is not None
    nodes.deferred.cancel()
    assert site.watches == 0


async def test_events_wait_while_the_index_is_the_same() -> None:
    site = Site()
    site.backend.agent.deliver = lambda name, payload, time: site.events.receive(name, payload, time, "local", {})
    pending, named = site.ask("/v1/event/list?index=1"), site.ask("/v1/event/list?index=1&name=b")
    firing = site.app.handle(Request(b"PUT", b"/v1/event/fire/a"))
    assert asyncio.iscoroutine(firing)
    await firing
    await settle()
    assert pending.done and not named.done
    assert site.ask("/v1/event/list?index=2").done
    assert named.deferred is not None
    named.deferred.cancel()
