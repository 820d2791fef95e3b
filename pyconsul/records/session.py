"""One session."""

from __future__ import annotations

import msgspec


class ServiceCheckRef(msgspec.Struct, array_like=True, frozen=True):
    """A check of a service, by check id; the namespace is kept as given and has no meaning here."""

    id: str
    namespace: str = ""


class Session(msgspec.Struct, array_like=True, frozen=True):
    """A session as stored. ``lock_delay_ns`` in nanoseconds, ``ttl`` as spelt by the client.

    ``node_checks``, ``service_checks``: None and [] are both kept, because reads show the difference.
    """

    id: str
    name: str
    node: str
    lock_delay_ns: int
    behavior: str
    ttl: str
    node_checks: list[str] | None
    service_checks: list[ServiceCheckRef] | None
    checks: list[str]
    create_index: int = 0
    modify_index: int = 0
