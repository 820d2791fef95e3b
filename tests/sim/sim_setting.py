"""What a seed decides before anything happens: how bad network and disks are, how busy everybody is, how small limits.

In the fault model: messages and requests lost, late, doubled and in another order; partitions, also one-way and between
pairs; processes killed and machines without power, at any step and right before and after any file operation, which
leaves any part of what was not synced; write errors, sync errors, full disks, slow disks; processes that stand still,
event loops that are late all the time; clocks of which each runs at its own speed, wall clocks that jump; members that
leave and come back, servers demoted, removed and added, leadership handed over; all of it at once.

Not in the model: bits that flip, disks that lie about a sync, servers that lie, monotonic clocks more than 5 % wrong.
"""

from __future__ import annotations

import random

import msgspec

from pyconsul.gossip.timings import LAN, Timings

FAULTS = (
    "loss",
    "duplication",
    "partition",
    "crash",
    "power",
    "disk",
    "full",
    "pause",
    "lag",
    "clock",
    "member",
    "slow",
)
SECONDS = 14.0
QUIET_SECONDS = 16.0
HEARSAY, MEMBERS = "hearsay", "members"
"""Kinds of gossip: sim_hearsay.py, sim_members.py."""
HEARSAY_EVERY = 4
"""Of so many seeds one has hearsay, which is faster and tells of every death at once."""
SPEEDS = [1.0, 4.0, 4.0, 10.0]
"""How many times faster than on a LAN gossip does everything. At Consul's periods a failure is noticed after 4 to 24 s
and a healed partition after 30 to 60 s, when a short run has ended; so most runs have shorter ones, some the real."""
REAPED_SECONDS = 5.0
"""How long a failed member is remembered in some runs, instead of 72 hours."""


def faster(timings: Timings, factor: float, reconnect_timeout: float) -> Timings:
    """The same proportions, with all periods shorter."""
    periods = {
        name: value / factor
        for name, value in msgspec.structs.asdict(timings).items()
        if name.endswith(("_interval", "_timeout", "_time", "_delay"))
    }
    return msgspec.structs.replace(timings, **{**periods, "reconnect_timeout": reconnect_timeout})


class Setting:
    """``without``: kinds of faults that do not happen. Times in seconds, ``*_chance`` and shares from 0 to 1."""

    def __init__(
        self, seed: int, chance: random.Random, seconds: float, without: frozenset[str], gossip: str | None
    ) -> None:
        """``gossip``: which kind; None: as the seed says, most often the real one."""
        self.without = without
        self.size = chance.choice([3, 3, 3, 5])
        self.loss = chance.choice([0.0, 0.02, 0.1])
        self.duplication = chance.choice([0.0, 0.05])
        self.slow_network = chance.choice([0.002, 0.01, 0.05])
        self.slow_disk = chance.choice([0.001, 0.01, 0.05])
        self.crash_chance = chance.choice([0.0, 0.0, 0.0005, 0.003])
        self.error_chance = chance.choice([0.0, 0.0, 0.0, 0.001])
        self.step_seconds = chance.choice([0.0, 0.00002, 0.0005])
        self.apply_every = chance.choice([1, 64])
        self.nemesis_pause = chance.choice([0.5, 1.0, 2.5])
        self.client_pause = chance.choice([0.02, 0.1, 0.4])
        self.snapshot_threshold = chance.choice([10, 40, 400])
        self.trailing = chance.choice([0, 5, 50])
        self.segment_bytes = chance.choice([1024, 8192])
        self.chunk_bytes = chance.choice([150, 4096])
        self.max_entries = chance.choice([2, 16, 512])
        for name, kind in (
            ("loss", "loss"), ("duplication", "duplication"), ("crash_chance", "crash"), ("error_chance", "disk"),
            ("step_seconds", "lag"),
        ):  # fmt: skip
            if not self.with_fault(kind):
                setattr(self, name, 0.0)
        if not self.with_fault("slow"):
            self.slow_network = self.slow_disk = 0.001
        self.die_by_power = True
        self.quiet_from = seconds
        self._set_gossip(seed, gossip)

    def _set_gossip(self, seed: int, kind: str | None) -> None:
        chance = random.Random(f"gossip of {seed}")
        self.gossip = kind or (HEARSAY if seed % HEARSAY_EVERY == 0 else MEMBERS)
        self.compression = chance.choice([False, False, True])
        self.joins_all = chance.choice([True, False])
        self.speed = chance.choice(SPEEDS)
        self.timings = faster(LAN, self.speed, chance.choice([LAN.reconnect_timeout, REAPED_SECONDS]))
        self.quiet_seconds = QUIET_SECONDS if self.gossip == HEARSAY else 16.0 + 90.0 / self.speed

    def with_fault(self, kind: str) -> bool:
        return kind not in self.without

    def calm_down(self) -> None:
        """Nothing goes wrong by itself any more."""
        self.loss = self.duplication = self.crash_chance = self.error_chance = 0.0
        self.slow_disk = self.slow_network = 0.001
