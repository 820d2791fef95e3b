"""What only a leader does about time: ends sessions whose TTL is over, keeps lock-delays, drops old traces of deletes.

Every server keeps lock-delays, because the next leader has to honour them; everything else starts anew with each
leadership (HTTP reference, "TTL", "Lock-delay", "Index of key reads").
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from pyconsul.clock import Clock
from pyconsul.errors import LeadershipLostError, PyconsulError
from pyconsul.fsm.commands import AnyCommand, KVLock, SessionDestroy, TombstoneReap, Txn
from pyconsul.log import pairs
from pyconsul.records.session import Session
from pyconsul.records.txn import TxnResult
from pyconsul.server.lock_delays import LockDelays
from pyconsul.server.session_timers import SessionTimers
from pyconsul.state import txn
from pyconsul.state.effects import Effect, SessionCreated, SessionEnded, TombstonesLeft
from pyconsul.state.store import Store

TOMBSTONE_SECONDS = 15 * 60
TOMBSTONE_GRANULARITY_SECONDS = 30


class Leader:
    """``write`` replicates a command of the leader's own, here and nowhere else: what is due at this leader
    need not be at the next. Driven by ``tick`` a few times a second."""

    def __init__(
        self,
        clock: Clock,
        logger: logging.Logger,
        store: Callable[[], Store],
        write: Callable[[AnyCommand, Callable[[object], None]], None],
        session_ttl_min_seconds: float = 10.0,
    ) -> None:
        self.lock_delays = LockDelays()
        self.timers = SessionTimers()
        self.active = False
        self.session_ttl_min_seconds = session_ttl_min_seconds
        self._clock = clock
        self._logger = logger
        self._store = store
        self._write = write
        self._traces: deque[tuple[float, int]] = deque()  # (due, index), both growing
        self._ending: set[str] = set()  # sessions whose end was proposed: too late to renew them

    def start(self) -> None:
        """This server leads, and has applied what earlier leaders committed."""
        now = self._clock.monotonic()
        self.active = True
        self._ending.clear()
        store = self._store()
        self.timers.restart(store.sessions.list(), now)
        self._traces.clear()
        if store.kv.tombstones.newest:
            self._traces.append((self._trace_due(now), store.kv.tombstones.newest))

    def stop(self) -> None:
        self.active = False
        self.timers.clear()
        self._traces.clear()

    def admit(self, command: AnyCommand) -> object | None:
        """The answer to a command that must not be proposed, or None. Only for the leader."""
        if isinstance(command, KVLock):
            if self.lock_delays.delayed(command.key, self._clock.monotonic()):
                return False
        elif isinstance(command, Txn):
            now = self._clock.monotonic()
            errors = txn.precheck(command.ops, lambda key: self.lock_delays.delayed(key, now))
            if errors:
                return TxnResult([], errors)
        return None

    def renew(self, session_id: str) -> Session | None:
        """Starts the session's TTL again; None when there is none, or when its end is on its way into the log.

        Raises ApplyError for a malformed id.
        """
        session = self._store().sessions.get(session_id)
        if session is None or session.id in self._ending:
            return None
        self.timers.start(session, self._clock.monotonic())
        return session

    def session_times(self) -> dict[str, float]:
        """Seconds that each session with a TTL has left."""
        return self.timers.remaining(self._clock.monotonic())

    def observe(self, effects: Iterable[Effect]) -> None:
        """What the entries just applied mean for time."""
        now = self._clock.monotonic()
        for effect in effects:
            if isinstance(effect, SessionEnded):
                self.timers.stop(effect.session.id)
                self._ending.discard(effect.session.id)
                if effect.keys:
                    self.lock_delays.start(effect.keys, effect.session.lock_delay_ns, now)
            elif self.active:
                if isinstance(effect, SessionCreated):
                    self.timers.start(effect.session, now)
                elif isinstance(effect, TombstonesLeft):
                    due = self._trace_due(now)
                    if self._traces and self._traces[-1][0] == due:
                        self._traces.pop()
                    self._traces.append((due, effect.index))

    def tick(self) -> None:
        """Proposes what is due."""
        if not self.active:
            return
        now = self._clock.monotonic()
        for session_id in self.timers.expired(now):
            self._logger.debug("Session TTL expired", extra=pairs(session=session_id))
            self._ending.add(session_id)
            self._write(SessionDestroy(session_id), self._retry_later(session_id))
        if self._traces and self._traces[0][0] <= now:
            index = 0
            while self._traces and self._traces[0][0] <= now:
                index = self._traces.popleft()[1]
            self._write(TombstoneReap(index), self._reaped)

    def _retry_later(self, session_id: str) -> Callable[[object], None]:
        def done(result: object) -> None:
            if not isinstance(result, LeadershipLostError):  # else it may still come out of the log
                self._ending.discard(session_id)
            if not isinstance(result, PyconsulError) or not self.active:
                return  # destroyed; or the next leader gives it its full time again
            self._logger.error("Failed to invalidate session", extra=pairs(session=session_id, error=result))
            session = self._store().sessions.get(session_id)
            if session is not None:
                self.timers.start(session, self._clock.monotonic())

        return done

    def _reaped(self, result: object) -> None:
        if isinstance(result, PyconsulError) and self.active:
            self._logger.error("Failed to reap tombstones", extra=pairs(error=result))
            newest = self._store().kv.tombstones.newest
            if newest:
                self._traces.append((self._trace_due(self._clock.monotonic()), newest))

    @staticmethod
    def _trace_due(now: float) -> float:
        steps = -(-(now + TOMBSTONE_SECONDS) // TOMBSTONE_GRANULARITY_SECONDS)
        return steps * TOMBSTONE_GRANULARITY_SECONDS
