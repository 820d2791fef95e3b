"""What a gossip pool is told: names, addresses, keys, periods, and Consul's rules for who may be a member."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pyconsul.codec.duration import parse_duration
from pyconsul.errors import ConfigError, DecodeError
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.member import LEFT, Member, normal_address
from pyconsul.gossip.serf import MergeCheck
from pyconsul.gossip.timings import LAN, Timings

RECONNECT_TAG = "rc_tm"
NANOSECONDS = 1_000_000_000
_BUILD = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def reconnect_timeout_by_tag(member: Member, default: float) -> float:
    """Consul: a member may say by a tag how long it is remembered after it went."""
    text = member.tags.get(RECONNECT_TAG)
    if not text:
        return default
    try:
        seconds = parse_duration(text) / NANOSECONDS
    except DecodeError:
        return default
    return seconds if seconds > 0 else default


class GossipConfig(msgspec.Struct, kw_only=True):
    """``pool``: lan or wan, for the names of loggers. ``bind_port`` 0: any free port. ``advertise_*`` empty or 0: the
    bound ones. ``keyring`` None: no encryption. ``snapshot_path`` None: nothing is remembered across restarts.

    ``default_port``: of addresses to join that name none; 0: our own. ``allowed_networks``: CIDR texts, empty: all.
    ``save_keyring`` is called in a thread after keys changed; ``ignore_old_events``: those from before our join.
    """

    name: str
    pool: str = "lan"
    bind_address: str = "0.0.0.0"
    bind_port: int = 8301
    advertise_address: str = ""
    advertise_port: int = 0
    default_port: int = 0
    tags: dict[str, str] = {}
    keyring: Keyring | None = None
    verify_incoming: bool = True
    verify_outgoing: bool = True
    encryption_version: int = 1
    label: str = ""
    compression: bool = True
    timings: Timings = LAN
    snapshot_path: Path | None = None
    rejoin_after_leave: bool = False
    merge_check: MergeCheck | None = None
    reconnect_timeout_of: Callable[[Member, float], float] | None = reconnect_timeout_by_tag
    allowed_networks: Sequence[str] = ()
    resolve_conflicts: bool = False
    ignore_old_events: bool = True
    save_keyring: Callable[[Sequence[bytes]], None] | None = None


def address_filter(networks: Sequence[str]) -> Callable[[bytes], bool] | None:
    """None when everybody may be a member. Raises ConfigError for a text that is not a network."""
    if not networks:
        return None
    parsed = []
    for text in networks:
        try:
            parsed.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ConfigError(f"invalid cidr: {text}") from None

    def allowed(address: bytes) -> bool:
        address = normal_address(address)
        if len(address) not in (4, 16):
            return False
        found = ipaddress.ip_address(address)
        return any(found in network for network in parsed)

    return allowed


def lan_merge_check(own_name: str, own_id: str, datacenter: str, segment: str = "") -> MergeCheck:
    """Consul's rules for members of a LAN pool: one datacenter and segment, and no node id twice."""

    def check(members: Sequence[Member]) -> str | None:
        by_id: dict[str, str] = {}
        for member in members:
            node_id = member.tags.get("id", "")
            if node_id:
                if member.status == LEFT:
                    continue
                if node_id == own_id and member.name != own_name:
                    return f"Member '{member.name}' has conflicting node ID '{node_id}' with this agent's ID"
                if _build(member) >= (0, 8, 5):
                    other = by_id.setdefault(node_id, member.name)
                    if other != member.name:
                        return f"Member '{member.name}' has conflicting node ID '{node_id}' with member '{other}'"
            if member.tags.get("role") in ("node", "consul"):
                theirs = member.tags.get("dc", "")
                if theirs != datacenter:
                    return f"Member '{member.name}' part of wrong datacenter '{theirs}'"
            theirs = member.tags.get("segment", "")
            if theirs != segment:
                return f"Member '{member.name}' part of wrong segment '{theirs}' (expected '{segment}')"
        return None

    return check


def wan_merge_check() -> MergeCheck:
    """Only servers may be members of the WAN pool."""

    def check(members: Sequence[Member]) -> str | None:
        for member in members:
            if member.tags.get("role") != "consul":
                return f"Member '{member.name}' is not a server"
        return None

    return check


def _build(member: Member) -> tuple[int, ...]:
    found = _BUILD.match(member.tags.get("build", ""))
    return tuple(int(part) for part in found.groups()) if found else (0, 0, 0)
