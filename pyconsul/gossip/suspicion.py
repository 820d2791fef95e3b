"""How long a suspect may stay silent: the more members confirm it, the shorter (Lifeguard)."""

from __future__ import annotations

import math

from pyconsul.gossip.timings import Timings


def bounds(timings: Timings, members: int) -> tuple[int, float, float]:
    """Confirmations wanted, and the shortest and longest time-out in seconds, for a cluster of that many records."""
    wanted = timings.suspicion_mult - 2
    if members - 2 < wanted:
        wanted = 0
    scale = math.floor(max(1.0, math.log10(max(1, members))) * 1000) / 1000
    shortest = timings.suspicion_mult * scale * timings.probe_interval
    return wanted, shortest, shortest * timings.suspicion_max_timeout_mult


class Suspicion:
    """One suspicion of one member. ``deadline``: monotonic seconds, when it turns into certainty."""

    def __init__(self, accuser: str, wanted: int, shortest: float, longest: float, now: float) -> None:
        self._accusers = {accuser}
        self._wanted = wanted
        self._shortest = shortest
        self._longest = longest
        self._start = now
        self.deadline = now + (shortest if wanted < 1 else longest)

    @property
    def confirmations(self) -> int:
        return len(self._accusers) - 1

    def confirm(self, accuser: str) -> bool:
        """True when this was news: the deadline came nearer and others should hear of it."""
        if self.confirmations >= self._wanted or accuser in self._accusers:
            return False
        self._accusers.add(accuser)
        part = math.log(self.confirmations + 1) / math.log(self._wanted + 1)
        timeout = self._longest - (self._longest - self._shortest) * part
        timeout = max(self._shortest, math.floor(timeout * 1000) / 1000)
        self.deadline = self._start + timeout
        return True
