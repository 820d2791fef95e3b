"""A member as SWIM knows it (``Node``, changes in place) and as Serf shows it (``Member``, a value)."""

from __future__ import annotations

import ipaddress

import msgspec

from pyconsul.gossip.messages import STATE_ALIVE, STATE_DEAD, STATE_LEFT, STATE_SUSPECT, NodeState

# Status of a Serf member.
NONE, ALIVE, LEAVING, LEFT, FAILED = range(5)
STATUS_NAMES = ("none", "alive", "leaving", "left", "failed")

VERSIONS = bytes((1, 5, 2, 2, 5, 4))
"""What we speak: memberlist protocol min, max, current, then Serf protocol min, max, current."""

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"


def normal_address(address: bytes) -> bytes:
    """4 bytes where the address is an IPv4 one in IPv6 dress. For dialling and showing only: peers compare bytes."""
    return address[12:] if len(address) == 16 and address.startswith(_MAPPED_PREFIX) else address


def address_text(address: bytes) -> str:
    """As people write it; bytes of a wrong length are shown in hex."""
    address = normal_address(address)
    if len(address) in (4, 16):
        return str(ipaddress.ip_address(address))
    return address.hex()


def endpoint_text(address: bytes, port: int) -> str:
    text = address_text(address)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


class Node:
    """SWIM's record of a member. ``state``: one of the STATE constants; ``state_change``: monotonic seconds."""

    __slots__ = ("address", "incarnation", "meta", "name", "port", "state", "state_change", "versions")

    def __init__(self, name: str, address: bytes, port: int, state_change: float) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.meta = b""
        self.versions = b""
        self.incarnation = 0
        self.state = STATE_DEAD
        self.state_change = state_change

    def version(self, index: int) -> int:
        """One of the six version numbers, 0 when the node did not tell."""
        return self.versions[index] if index < len(self.versions) else 0

    @property
    def protocol_max(self) -> int:
        return self.version(1)

    @property
    def gone(self) -> bool:
        return self.state in (STATE_DEAD, STATE_LEFT)

    @property
    def alive(self) -> bool:
        return self.state == STATE_ALIVE

    @property
    def dead(self) -> bool:
        return self.state == STATE_DEAD

    @property
    def suspect(self) -> bool:
        return self.state == STATE_SUSPECT

    def to_state(self) -> NodeState:
        return NodeState(self.name, self.address, self.port, self.meta, self.incarnation, self.state, self.versions)


class Member(msgspec.Struct, frozen=True):
    """A member as Serf knows it. ``status_ltime``: Lamport time of the last intent that counted. ``leave_time``:
    monotonic seconds when it left or failed."""

    name: str
    address: bytes
    port: int
    tags: dict[str, str]
    status: int = NONE
    versions: bytes = b""
    status_ltime: int = 0
    leave_time: float = 0.0

    def _version(self, index: int) -> int:
        return self.versions[index] if index < len(self.versions) else 0

    @property
    def address_text(self) -> str:
        return address_text(self.address)

    @property
    def status_name(self) -> str:
        return STATUS_NAMES[self.status]

    @property
    def protocol_min(self) -> int:
        return self._version(0)

    @property
    def protocol_max(self) -> int:
        return self._version(1)

    @property
    def protocol_cur(self) -> int:
        return self._version(2)

    @property
    def delegate_min(self) -> int:
        return self._version(3)

    @property
    def delegate_max(self) -> int:
        return self._version(4)

    @property
    def delegate_cur(self) -> int:
        return self._version(5)
