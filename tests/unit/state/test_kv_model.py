"""The key table against a slow and obvious model: a list of writes, searched from the start for every question."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.fsm import commands as c

SESSIONS = ["a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"]
NAMES = [b"a", b"a/", b"a/b", b"a/b/c", b"a/b/d", b"a/c", b"ab", b"b/x", b"\xff", b"\xff\xff"]
PREFIXES = [b"", b"a", b"a/", b"a/b", b"a/b/", b"b", b"c", b"\xff"]


class Model:
    """``keys``: name -> [value, flags, create, modify, lock index, session]; ``traces``: (name, index) of deletes."""

    def __init__(self) -> None:
        self.keys: dict[bytes, list[Any]] = {}
        self.traces: list[tuple[bytes, int]] = []
        self.last = 0

    def write(self, index: int, name: bytes, value: bytes, flags: int, lock: int, session: str) -> None:
        old = self.keys.get(name)
        new = [value, flags, old[2] if old else index, index, lock, session]
        if old and [old[0], old[1], old[4], old[5]] == [value, flags, lock, session]:
            return
        self.keys[name] = new
        self.last = index

    def remove(self, index: int, names: list[bytes], trace: bytes) -> None:
        for name in names:
            del self.keys[name]
        if names:
            self.last = index
            if trace:
                self.traces = [t for t in self.traces if t[0] != trace] + [(trace, index)]

    def apply(self, index: int, command: Any) -> Any:
        old = self.keys.get(getattr(command, "key", b""))
        match command:
            case c.KVSet(key, value, flags):
                self.write(index, key, value, flags, 0, old[5] if old else "")
                return True
            case c.KVCas(key, value, flags, cas):
                if (old[3] if old else 0) != cas:
                    return False
                self.write(index, key, value, flags, 0, old[5] if old else "")
                return True
            case c.KVLock(key, value, flags, session):
                if old and old[5] not in ("", session):
                    return False
                lock = old[4] if old else 0
                self.write(index, key, value, flags, lock if old and old[5] == session else lock + 1, session)
                return True
            case c.KVUnlock(key, value, flags, session):
                if not old or old[5] != session:
                    return False
                self.write(index, key, value, flags, old[4], "")
                return True
            case c.KVDelete(key):
                self.remove(index, [key] if old else [], key)
                return True
            case c.KVDeleteCas(key, cas):
                if old and old[3] != cas:
                    return False
                self.remove(index, [key] if old else [], key)
                return True
            case c.KVDeleteTree(prefix):
                self.remove(index, [name for name in self.keys if name.startswith(prefix)], prefix)
                return True
            case c.TombstoneReap(upto):
                self.traces = [t for t in self.traces if t[1] > upto]
                return True
            case c.SessionDestroy(session):
                for name in sorted(self.keys):
                    value, flags, _, _, lock, holder = self.keys[name]
                    if holder == session and session == SESSIONS[0]:
                        self.remove(index, [name], name)
                    elif holder == session:
                        self.write(index, name, value, flags, lock, "")
                return True
        raise AssertionError(command)

    def index_of_prefix(self, prefix: bytes) -> int:
        if not prefix:
            return self.last or 1
        found = [entry[3] for name, entry in self.keys.items() if name.startswith(prefix)]
        found += [index for trace, index in self.traces if trace.startswith(prefix)]
        return max(found, default=self.last or 1)

    def names(self, prefix: bytes, separator: bytes) -> list[bytes]:
        cut = []
        for name in sorted(self.keys):
            if name.startswith(prefix):
                at = name.find(separator, len(prefix)) if separator else -1
                name = name if at < 0 else name[: at + len(separator)]
                if name not in cut:
                    cut.append(name)
        return cut


names = st.sampled_from(NAMES)
values = st.sampled_from([b"", b"1", b"2"])
flags = st.sampled_from([0, 7])
indexes = st.integers(0, 40)
sessions = st.sampled_from(SESSIONS)
# Short lists hardly ever delete what they wrote: many writes, long lists.
steps = st.one_of(
    st.builds(c.KVSet, names, values, flags),
    st.builds(c.KVSet, names, values, flags),
    st.builds(c.KVSet, names, values, flags),
    st.builds(c.KVDelete, names),
    st.builds(c.KVCas, names, values, flags, indexes),
    st.builds(c.KVLock, names, values, flags, sessions),
    st.builds(c.KVUnlock, names, values, flags, sessions),
    st.builds(c.KVDelete, names),
    st.builds(c.KVDeleteCas, names, indexes),
    st.builds(c.KVDeleteTree, st.sampled_from(PREFIXES)),
    st.builds(c.TombstoneReap, indexes),
    st.builds(c.SessionDestroy, sessions),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, min_size=20, max_size=50))
def test_the_table_is_the_model(new_driver: Any, commands: list[Any]) -> None:
    driver, model = new_driver(), Model()
    driver.node("n")
    driver.session(1, behavior="delete")
    driver.session(2, behavior="release")
    alive = set(SESSIONS)
    for command in commands:
        if isinstance(command, c.KVLock) and command.session not in alive:
            continue
        result = driver.do(command)
        assert result == model.apply(driver.index, command), command
        if isinstance(command, c.SessionDestroy):
            alive.discard(command.id)
        compare(driver, model)


def compare(driver: Any, model: Model) -> None:
    for name in NAMES:
        entry, expected = driver.kv.get(name), model.keys.get(name)
        shown = entry and [
            entry.value, entry.flags, entry.create_index, entry.modify_index, entry.lock_index, entry.session,
        ]  # fmt: skip
        assert shown == expected, name
        assert driver.kv.index_of_key(name) == (expected[3] if expected else model.last or 1)
    for prefix in PREFIXES:
        assert driver.kv.index_of_prefix(prefix) == model.index_of_prefix(prefix), prefix
        assert [entry.key for entry in driver.kv.list(prefix)] == model.names(prefix, b"")
        for separator in (b"", b"/", b"b/"):
            assert driver.kv.keys(prefix, separator) == model.names(prefix, separator)
    assert driver.kv.index == (model.last or 1)
    for session in SESSIONS:
        held = sorted(name for name, entry in model.keys.items() if entry[5] == session)
        assert driver.sessions.keys_of(session) == held


@settings(deadline=None)
@given(st.lists(steps, min_size=8, max_size=25), st.lists(steps, min_size=8, max_size=25), st.integers(0, 3))
def test_a_view_shows_the_moment_it_was_made(new_driver: Any, before: list[Any], after: list[Any], taken: int) -> None:
    driver = new_driver()
    for command in before:
        driver.do(command)
    expected = driver.kv.list(b"")
    view = driver.kv.freeze(driver.index)
    assert len(view) == len(expected)
    entries = iter(view)
    got = [entry for _, entry in zip(range(taken), entries, strict=False)]
    for command in after:
        driver.do(command)
    assert got + list(entries) == expected


def test_a_long_view_while_everything_changes(new_driver: Any) -> None:
    driver = new_driver()
    for n in range(3000):
        driver.set(b"%05d" % (2 * n))
    expected = driver.kv.list(b"")
    entries = iter(driver.kv.freeze(driver.index))
    got = [next(entries)]
    driver.do(c.KVDeleteTree(b"02"))  # 500 of the first 3000
    for n in range(3000):
        driver.set(b"%05d" % (2 * n + 1))  # new ones between the old ones
        if n % 3 == 0:
            driver.do(c.KVDelete(b"%05d" % (2 * (2999 - n))))
        if n % 5 == 0:
            driver.set(b"%05d" % (2 * n), b"other")
        if n % 50 == 0:
            got.append(next(entries))
    assert got + list(entries) == expected
