"""What blocked readers wait on: one-shot callbacks by key, by prefix and by topic.

Tables call ``touch…`` while a log entry is applied; ``fire`` wakes after the whole entry, so that nobody sees half a
transaction. A write that nobody watches pays one test of an empty dict per kind of watch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

Wake = Callable[[], None]
Name = TypeVar("Name", bound=Hashable)


def _nothing() -> None:
    """The callback of a cancelled handle."""


class Handle:
    """One registered callback. It is gone after it fired or was cancelled; both may happen, in any order."""

    __slots__ = ("_bucket", "_name", "wake")

    def __init__(self, bucket: _Buckets[Any], name: Hashable, wake: Wake) -> None:
        self._bucket: _Buckets[Any] | None = bucket
        self._name = name
        self.wake = wake

    @property
    def active(self) -> bool:
        return self._bucket is not None

    def cancel(self) -> None:
        """Forgets the callback: it is not called any more, even if it is about to be."""
        self.wake = _nothing
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.remove(self._name, self)

    def disarm(self) -> None:
        """Marks it as fired; only for the owner of the bucket it was taken from."""
        self._bucket = None


class _Buckets(Generic[Name], dict[Name, dict[Handle, None]]):
    """Handles by name, each in the order of registration."""

    def add(self, name: Name, wake: Wake) -> Handle:
        handle = Handle(self, name, wake)
        bucket = self.get(name)
        if bucket is None:
            self[name] = bucket = {}
            self.appeared(name)
        bucket[handle] = None
        return handle

    def remove(self, name: Name, handle: Handle) -> None:
        bucket = self[name]
        del bucket[handle]
        if not bucket:
            del self[name]
            self.vanished(name)

    def take(self, name: Name, fired: list[Handle]) -> None:
        """Moves the handles of a name to ``fired``."""
        bucket = self.pop(name, None)
        if bucket is not None:
            self.vanished(name)
            for handle in bucket:
                handle.disarm()
            fired.extend(bucket)

    def take_all(self, fired: list[Handle]) -> None:
        for name in list(self):
            self.take(name, fired)

    def count(self) -> int:
        return sum(map(len, self.values()))

    def appeared(self, name: Name) -> None:
        pass

    def vanished(self, name: Name) -> None:
        pass


class _PrefixBuckets(_Buckets[bytes]):
    """Knows which lengths of prefixes are watched, so that a key is cut only at these."""

    def __init__(self) -> None:
        super().__init__()
        self._count_by_length: dict[int, int] = {}

    @property
    def lengths(self) -> list[int]:
        return list(self._count_by_length)

    def appeared(self, name: bytes) -> None:
        length = len(name)
        self._count_by_length[length] = self._count_by_length.get(length, 0) + 1

    def vanished(self, name: bytes) -> None:
        length = len(name)
        left = self._count_by_length[length] - 1
        if left:
            self._count_by_length[length] = left
        else:
            del self._count_by_length[length]


class Watches:
    """All watches of a store. ``wake`` callbacks run inside ``fire`` and must not raise; they may register new ones.

    Names of nodes, services and sessions are matched without regard to case.
    """

    def __init__(self) -> None:
        self._keys: _Buckets[bytes] = _Buckets()
        self._prefixes = _PrefixBuckets()
        self._topics: _Buckets[tuple[str, ...]] = _Buckets()
        self._touched_keys: list[bytes] = []
        self._touched_runs: list[Sequence[bytes]] = []
        self._touched_topics: dict[tuple[str, ...], None] = {}
        self.pending = False

    # Registration

    def key(self, key: bytes, wake: Wake) -> Handle:
        """Fires when the key is written (with a change), created or deleted."""
        return self._keys.add(key, wake)

    def prefix(self, prefix: bytes, wake: Wake) -> Handle:
        """Fires when any key that starts with ``prefix`` changes, the key of that name included; b"": any key."""
        return self._prefixes.add(prefix, wake)

    def sessions(self, wake: Wake) -> Handle:
        """Fires when any session is created or ends."""
        return self._topics.add(("sessions",), wake)

    def session(self, session_id: str, wake: Wake) -> Handle:
        """Fires when this session ends (or is created, if it is not there)."""
        return self._topics.add(("session", session_id.lower()), wake)

    def node_sessions(self, node: str, wake: Wake) -> Handle:
        """Fires when a session of the node is created or ends."""
        return self._topics.add(("node_sessions", node.lower()), wake)

    def table(self, name: str, wake: Wake) -> Handle:
        """Fires when the index of a table moves: "nodes", "services", "checks", "coordinates", "autopilot"."""
        return self._topics.add(("table", name), wake)

    def service(self, name: str, wake: Wake) -> Handle:
        """Fires when the index of the reads of one service moves (Catalog.service_index)."""
        return self._topics.add(("service", name.lower()), wake)

    def connect(self, name: str, wake: Wake) -> Handle:
        """Fires when the index of the reads of a service's proxies and native instances moves."""
        return self._topics.add(("connect", name.lower()), wake)

    def __len__(self) -> int:
        """How many callbacks are registered."""
        return self._keys.count() + self._prefixes.count() + self._topics.count()

    # For the tables

    def touch_key(self, key: bytes) -> None:
        if self._keys or self._prefixes:
            self._touched_keys.append(key)
            self.pending = True

    def touch_keys(self, keys: Sequence[bytes]) -> None:
        """Many keys at once, in byte order (a recursive delete)."""
        if self._keys or self._prefixes:
            self._touched_runs.append(keys)
            self.pending = True

    def touch(self, *topic: str) -> None:
        if topic in self._topics:
            self._touched_topics[topic] = None
            self.pending = True

    def watched(self, kind: str) -> list[str]:
        """The names that are watched under a kind of topic ("service"), for rare events that concern them all."""
        return [topic[1] for topic in self._topics if topic[0] == kind]

    # For the state machine

    def discard(self) -> None:
        """Forgets what was touched: the command was rolled back."""
        self._touched_keys.clear()
        self._touched_runs.clear()
        self._touched_topics.clear()
        self.pending = False

    def fire(self) -> None:
        """Wakes everybody concerned by what was touched since the last call, each once."""
        fired: list[Handle] = []
        for key in self._touched_keys:
            self._take_key(key, fired)
        for run in self._touched_runs:
            self._take_run(run, fired)
        for topic in self._touched_topics:
            self._topics.take(topic, fired)
        self.discard()
        for handle in fired:
            handle.wake()

    def fire_all(self) -> None:
        """Wakes everybody: the whole contents were replaced."""
        self.discard()
        fired: list[Handle] = []
        self._keys.take_all(fired)
        self._prefixes.take_all(fired)
        self._topics.take_all(fired)
        for handle in fired:
            handle.wake()

    def _take_key(self, key: bytes, fired: list[Handle]) -> None:
        self._keys.take(key, fired)
        size = len(key)
        for length in self._prefixes.lengths:
            if length <= size:
                self._prefixes.take(key[:length], fired)

    def _take_run(self, run: Sequence[bytes], fired: list[Handle]) -> None:
        if len(run) <= len(self._keys) + len(self._prefixes):
            for key in run:
                self._take_key(key, fired)
            return
        # More keys than watches: ask for each watch whether the sorted run holds something of it.
        for name in list(self._keys):
            at = bisect_left(run, name)
            if at < len(run) and run[at] == name:
                self._keys.take(name, fired)
        for name in list(self._prefixes):
            at = bisect_left(run, name)
            if at < len(run) and run[at].startswith(name):
                self._prefixes.take(name, fired)
