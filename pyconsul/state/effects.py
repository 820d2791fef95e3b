"""What applying a command means outside of the state: the server collects these after each entry.

They are facts about time (lock-delays, TTLs, the age of traces), which has no place inside the state machine.
"""

from __future__ import annotations

from typing import Union

import msgspec

from pyconsul.records.session import Session


class SessionCreated(msgspec.Struct, frozen=True):
    """The leader starts the TTL, if ``session.ttl`` is not zero."""

    session: Session


class SessionEnded(msgspec.Struct, frozen=True):
    """``keys`` it held, in byte order: each gets the lock-delay ``session.lock_delay_ns`` (at most a minute)."""

    session: Session
    keys: list[bytes]


class TombstonesLeft(msgspec.Struct, frozen=True):
    """A delete at ``index`` left traces, to be dropped by ``TombstoneReap`` when they are old enough."""

    index: int


Effect = Union[SessionCreated, SessionEnded, TombstonesLeft]  # noqa: UP007
