"""The addresses of this host's network interfaces, from the C library's ``getifaddrs``."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyconsul.errors import StorageError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8

PRIVATE_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
    )
)
"""What counts as a private IPv4 address when one has to be chosen."""

NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
    )
)


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of one interface."""

    name: str
    ip: IpAddress
    prefix_length: int
    up: bool = True
    loopback: bool = False

    @property
    def private(self) -> bool:
        if isinstance(self.ip, ipaddress.IPv4Address):
            return any(self.ip in block for block in PRIVATE_V4)
        return any(self.ip in block for block in NOT_PUBLIC_V6)

    @property
    def public(self) -> bool:
        return not self.private and not self.ip.is_multicast and not self.ip.is_unspecified


class _SockAddr(ctypes.Structure):
    _fields_ = (
        [("sa_len", ctypes.c_uint8), ("sa_family", ctypes.c_uint8)]
        if sys.platform == "darwin"
        else [("sa_family", ctypes.c_uint16)]
    ) + [("sa_data", ctypes.c_uint8 * 26)]


class _IfAddrs(ctypes.Structure):
    pass


_IfAddrs._fields_ = [
    ("ifa_next", ctypes.POINTER(_IfAddrs)),
    ("ifa_name", ctypes.c_char_p),
    ("ifa_flags", ctypes.c_uint),
    ("ifa_addr", ctypes.POINTER(_SockAddr)),
    ("ifa_netmask", ctypes.POINTER(_SockAddr)),
]


def host_interfaces() -> list[InterfaceAddress]:
    """All IP addresses of this host, in the system's order. Raises StorageError when the system refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_IfAddrs)()
    if libc.getifaddrs(ctypes.byref(first)) != 0:
        raise StorageError(f"cannot list the network interfaces: errno {ctypes.get_errno()}")
    found: list[InterfaceAddress] = []
    try:
        entry = first
        while entry:
            item = entry.contents
            ip = _ip(item.ifa_addr)
            if ip is not None:
                mask = _ip(item.ifa_netmask)
                found.append(
                    InterfaceAddress(
                        name=item.ifa_name.decode("utf-8", "replace"),
                        ip=ip,
                        prefix_length=int(mask).bit_count() if mask is not None else ip.max_prefixlen,
                        up=bool(item.ifa_flags & _IFF_UP),
                        loopback=bool(item.ifa_flags & _IFF_LOOPBACK),
                    )
                )
            entry = item.ifa_next
    finally:
        libc.freeifaddrs(first)
    return found


def _ip(pointer: ctypes._Pointer[_SockAddr]) -> IpAddress | None:
    if not pointer:
        return None
    family = pointer.contents.sa_family
    data = bytes(pointer.contents.sa_data)
    if family == socket.AF_INET:  # port (2 bytes), address
        return ipaddress.IPv4Address(data[2:6])
    if family == socket.AF_INET6:  # port (2), flow (4), address
        return ipaddress.IPv6Address(data[6:22])
    return None


def default_route_names(table: Path = Path("/proc/net/route")) -> list[str]:
    """Names of the interfaces with a default route; empty where the system does not show them as Linux does."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [row[0] for row in rows if len(row) > 7 and row[1] == "00000000" and row[7] == "00000000"]


def private_ipv4(addresses: Iterable[InterfaceAddress]) -> list[str]:
    """Candidates when 0.0.0.0 is bound. Loopback counts only when no other interface has an address."""
    usable = [address for address in addresses if address.up and isinstance(address.ip, ipaddress.IPv4Address)]
    return [str(address.ip) for address in _without_loopback(usable) if address.private]


def public_ipv6(addresses: Iterable[InterfaceAddress]) -> list[str]:
    """Candidates when :: is bound."""
    usable = [address for address in addresses if address.up and isinstance(address.ip, ipaddress.IPv6Address)]
    return [str(address.ip) for address in usable if address.public]


def _without_loopback(addresses: Sequence[InterfaceAddress]) -> list[InterfaceAddress]:
    others = [address for address in addresses if not address.loopback]
    return others or [address for address in addresses if str(address.ip) == "127.0.0.1"]
