"""UDP and TCP on one and the same port, as gossip needs them."""

from __future__ import annotations

import socket

from pyconsul.errors import ConfigError
from pyconsul.net.stream import bind_tcp, endpoint
from pyconsul.net.udp import bind_udp

PORT_TRIES = 20


def bind_both(address: str, wanted: int) -> tuple[socket.socket, socket.socket]:
    """The UDP and the TCP socket. ``wanted`` 0: any port that is free for both. Raises ConfigError with the address."""
    for attempt in range(PORT_TRIES):
        kind = "UDP"
        port = wanted
        udp: socket.socket | None = None
        try:
            udp = bind_udp(address, port)
            port = udp.getsockname()[1]
            kind = "TCP"
            return udp, bind_tcp(address, port)
        except OSError as error:
            if udp is not None:
                udp.close()
            if wanted == 0 and attempt + 1 < PORT_TRIES:
                continue  # the other protocol's port of this number is taken: try another number
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(
                f'Failed to start {kind} listener on "{address}" port {port}: '
                f"listen {kind.lower()} {endpoint(address, port)}: bind: {reason}",
                500,
            ) from None
    raise ConfigError(f"no free port on {address}", 500)
