"""Whom to try again: members that failed, and those known before a restart that were not met since.

Joining ends with the first that answers. Members that all start while they are cut off from the others would each find
somebody on their own side and, remembering nobody else, stay islands for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyconsul.clock import Random
from pyconsul.gossip.member import ALIVE, FAILED, Member, normal_address
from pyconsul.gossip.snapshot import Restored, parse_endpoint


class Target(msgspec.Struct, frozen=True):
    """``address``: 4 or 16 bytes."""

    name: str
    address: bytes
    port: int


class Reconnect:
    """We are the first whom we meet, so our own name is never tried."""

    def __init__(self, restored: Restored) -> None:
        self._unmet: dict[str, Target] = {}
        for name, text in {**restored.failed, **restored.nodes}.items():
            endpoint = parse_endpoint(text)
            if endpoint is not None:
                self._unmet[name] = Target(name, *endpoint)

    def settle(self, name: str) -> bool:
        """This one was met, or is known to have left. Whether it was waited for."""
        return self._unmet.pop(name, None) is not None

    def give_up(self) -> list[str]:
        """Those who were never met are not tried any more. Returns their names."""
        names = list(self._unmet)
        self._unmet.clear()
        return names

    def target(self, members: Iterable[Member], random: Random) -> Target | None:
        """One that should be tried now, by chance: the whole cluster tries about one at a time."""
        alive: set[tuple[bytes, int]] = set()
        gone: list[Target] = []
        for member in members:
            if member.status == ALIVE:
                alive.add((normal_address(member.address), member.port))
            elif member.status == FAILED:
                gone.append(Target(member.name, member.address, member.port))
        # Where somebody lives under another name now, nobody else is to be found.
        gone += [each for each in self._unmet.values() if (each.address, each.port) not in alive]
        if not gone or random.random() > len(gone) / max(1, len(alive)):
            return None
        return random.choice(gone)
