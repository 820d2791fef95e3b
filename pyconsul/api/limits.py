"""What the HTTP layer is configured with: sizes, numbers of connections, times, blocked paths, added headers.

HTTP reference, "Configuration of this layer". A reload replaces the whole object.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Union

import msgspec

from pyconsul.codec.duration import HOUR, SECOND

HEADER_SLACK_BYTES = 4096
"""How much more than ``max_header_bytes`` the request line and headers together may take."""

HEADER_LINES_MAX = 2000
UNREAD_BODY_MAX = 262_144
"""A refused body of up to so many bytes is still read, so that the connection can be kept."""

TXN_OPERATIONS_MAX = 64
SESSION_TTL_MAX_NS = 24 * HOUR
BLOCKING_WAIT_DEFAULT_NS = 300 * SECOND
BLOCKING_WAIT_MAX_NS = 600 * SECOND
BLOCKING_JITTER_FRACTION = 16

TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Names as in the agent's configuration; sizes in bytes, times in seconds unless the name says otherwise."""

    response_headers: dict[str, str] = {}
    block_endpoints: list[str] = []
    allow_write_http_from: list[str] = []
    max_header_bytes: int = 1_048_576
    use_cache: bool = True
    kv_max_value_size: int = 524_288
    txn_max_req_len: int = 524_288
    http_max_conns_per_client: int = 200
    disable_http_unprintable_char_filter: bool = False
    ui_enabled: bool = False
    dev_mode: bool = False
    session_ttl_min_ns: int = 10 * SECOND
    rpc_rate: float = math.inf
    """Requests per second that need the cluster's state; above ``rpc_max_burst`` at once they get 429."""
    rpc_max_burst: int = 1000

    other_body_max: int = 1_048_576
    """JSON bodies of endpoints that have no limit of their own."""
    chunked_body_max: int = 8_388_608
    """A body whose length was not announced."""
    header_timeout_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_idle_timeout_s: float = 30.0
    body_timeout_s: float = 300.0
    write_idle_timeout_s: float = 60.0
    """How long a client may read nothing of an answer."""
    pipelined_max: int = 64
    """Requests waiting behind one that is not answered yet; then reading stops."""

    @property
    def announced_body_max(self) -> int:
        """Longer announced bodies are not read at all."""
        return max(self.kv_max_value_size, self.txn_max_req_len, self.other_body_max, UNREAD_BODY_MAX)

    @property
    def txn_body_max(self) -> int:
        """The larger of the two sizes bounds a transaction."""
        return max(self.kv_max_value_size, self.txn_max_req_len)


class RateLimit:
    """A bucket of tokens: ``burst`` of them at first, refilled at ``rate`` for each second."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """False: none is left."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class ClientLimit:
    """Counts connections per client address. ``maximum`` 0: no limit."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._open: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """False: this one is too many (and is not counted)."""
        count = self._open.get(address, 0)
        if self.maximum and count >= self.maximum:
            return False
        self._open[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        count = self._open.get(address, 0) - 1
        if count > 0:
            self._open[address] = count
        else:
            self._open.pop(address, None)


def parse_networks(texts: list[str]) -> list[Network]:
    """The networks of ``allow_write_http_from``. Raises ValueError."""
    return [ipaddress.ip_network(text, strict=False) for text in texts]


def may_write(networks: list[Network], address: str) -> bool:
    """Whether a client address may use writing methods; with no networks everybody may, and so may local sockets."""
    if not networks or not address:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)
