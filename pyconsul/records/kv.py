"""One key with its value."""

from __future__ import annotations

import msgspec


class KVEntry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """A stored key. Replaced as a whole, never changed in place (readers may hold it).

    ``key`` and ``value`` are bytes (a key need not be UTF-8); ``session`` is the holder's id as it was given, or "".
    Indexes are Raft log indexes. Rules: HTTP reference, "Keys" and "Locks".
    """

    key: bytes
    value: bytes
    flags: int
    create_index: int
    modify_index: int
    lock_index: int = 0
    session: str = ""
