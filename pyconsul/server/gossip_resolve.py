"""Addresses to join, as people write them: ``ip``, ``ip:port``, ``[v6]:port`` or a host name, maybe after ``name/``."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import msgspec

from pyconsul.errors import PeerError


class Resolved(msgspec.Struct, frozen=True):
    host: str
    packed: bytes
    port: int


def split_host_port(text: str, default_port: int) -> tuple[str, int]:
    """Raises PeerError."""
    _, _, text = text.rpartition("/")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise PeerError(f"address {text}: missing ']' in address")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host:
        raise PeerError(f"address {text!r}: missing host")
    if not port:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise PeerError(f"address {text}: invalid port")
    return host, int(port)


async def resolve(text: str, default_port: int) -> list[Resolved]:
    """All addresses of it. Raises PeerError."""
    host, port = split_host_port(text, default_port)
    try:
        return [Resolved(host, ipaddress.ip_address(host).packed, port)]
    except ValueError:
        pass  # a host name
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PeerError(f"lookup {host}: no such host") from None
    hosts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [Resolved(name, ipaddress.ip_address(name).packed, port) for name in hosts]
