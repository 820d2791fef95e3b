"""Dialling a server's RPC port, with the errors spelt as Consul's clients know them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable

from pyconsul.errors import RpcError
from pyconsul.net.connection import FrameConnection

DIAL_SECONDS_MAX = 5.0


def split_host_port(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port``. Raises ValueError."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join_host_port(host: str, port: int) -> str:
    """The reverse of ``split_host_port``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def dial_error_text(address: str, error: BaseException) -> str:
    """``dial tcp A:8300: connect: connection refused`` and the like."""
    if isinstance(error, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    if isinstance(error, OSError):
        # asyncio wraps the text of several attempts; the number is what counts
        name = os.strerror(error.errno).lower() if error.errno else str(error)
        if error.errno == errno.ENETUNREACH:
            name = "network is unreachable"
        return f"dial tcp {address}: connect: {name}"
    return f"dial tcp {address}: {error}"


async def dial(
    address: str,
    protocol_byte: int,
    on_frames: Callable[[FrameConnection, list[bytes]], None],
    on_close: Callable[[FrameConnection, str], None],
    source_host: str | None = None,
) -> FrameConnection:
    """A connection to ``host:port`` that has named its protocol. Raises RpcError (not sent)."""
    loop = asyncio.get_running_loop()
    host, port = split_host_port(address)
    try:
        _, connection = await asyncio.wait_for(
            loop.create_connection(
                lambda: FrameConnection(on_frames, on_close, bytes([protocol_byte])),
                host,
                port,
                local_addr=(source_host, 0) if source_host else None,
            ),
            DIAL_SECONDS_MAX,
        )
    except (OSError, TimeoutError) as error:
        raise RpcError(f"failed to get conn: {dial_error_text(address, error)}", sent=False) from error
    return connection
