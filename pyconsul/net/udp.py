"""A UDP socket for gossip: datagrams in by callback, datagrams out without waiting. Knows nothing of what they mean."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

Receive = Callable[[bytes, tuple[bytes, int]], None]

RECEIVE_BUFFER = 2 * 1024 * 1024
RECEIVE_BUFFER_MIN = 64 * 1024
# A destination's fault, or a queue that is full for the moment: datagrams may get lost, gossip sends again.
LOSSES = {
    errno.EAGAIN,
    errno.ENOBUFS,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EPERM,
    errno.EMSGSIZE,
    errno.EINVAL,
    errno.EACCES,
    errno.EAFNOSUPPORT,
}


def bind_udp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket with a receive buffer as large as the system grants. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        size = RECEIVE_BUFFER
        while size >= RECEIVE_BUFFER_MIN:
            with contextlib.suppress(OSError):  # too large for this system: ask for half
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
                break
            size //= 2
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, receive: Receive, lost: Callable[[OSError], None]) -> None:
        self._receive = receive
        self._lost = lost

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._receive(data, (ipaddress.ip_address(addr[0].partition("%")[0]).packed, addr[1]))

    def error_received(self, exc: Exception) -> None:
        # An earlier datagram bounced (ICMP), or could not be sent; failure detection sees that for itself.
        if isinstance(exc, OSError) and exc.errno not in LOSSES:
            self._lost(exc)


class UdpEndpoint:
    """``lost`` is told of errors that are not a destination's fault."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._mapped = sock.family == socket.AF_INET6
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, receive: Receive, lost: Callable[[OSError], None]) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(receive, lost), sock=self._socket)

    def send(self, data: bytes, host: str, port: int) -> None:
        """Never waits and never fails: what cannot be sent is lost."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._mapped and ":" not in host:
            host = "::ffff:" + host
        elif not self._mapped and ":" in host:
            return  # an IPv6 member of an IPv4 pool cannot be reached
        transport.sendto(data, (host, port))

    def close(self) -> None:
        if self._transport is None:
            self._socket.close()
        else:
            self._transport.close()
