"""Which server a client agent talks to: one until it fails, then the next; now and then another for balance. Pure."""

from __future__ import annotations

from pyconsul.clock import Random
from pyconsul.server.server_tags import ServerInfo


class ServerList:
    """The servers that may be asked, the one in use first. Each client has an order of its own, so that many of them
    spread over the servers; a new server therefore gets its share with the next ``rebalance``."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._servers: list[ServerInfo] = []

    def __len__(self) -> int:
        return len(self._servers)

    @property
    def current(self) -> ServerInfo | None:
        return self._servers[0] if self._servers else None

    def addresses(self) -> set[str]:
        return {server.rpc_address for server in self._servers}

    def update(self, servers: list[ServerInfo]) -> None:
        """Takes exactly these; those that were known keep their places, new ones come last in random order."""
        given = {server.name: server for server in servers}
        kept = [given.pop(old.name) for old in self._servers if old.name in given]
        new = list(given.values())
        self._random.shuffle(new)
        self._servers = kept + new

    def failed(self, address: str) -> None:
        """The server could not be asked: the next one is tried from now on. Does nothing when it is not in use, as
        many requests fail together."""
        if len(self._servers) > 1 and self._servers[0].rpc_address == address:
            self._servers.append(self._servers.pop(0))

    def rebalance(self) -> None:
        """A new order by chance."""
        self._random.shuffle(self._servers)
