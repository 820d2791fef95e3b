"""Settings of the core, and who the members are: changes of one server at a time, and their history in the log."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyconsul.errors import CallerError, ConfigError, DecodeError
from pyconsul.invariant import invariant
from pyconsul.raft.messages import CONFIG, Configuration, Entry, Server


class RaftConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Time is in ticks, whose length the driver decides. Raises ConfigError when the values do not fit together.

    ``election_ticks``: the shortest election timeout; each wait is drawn from [election_ticks, 2 * election_ticks).
    ``heartbeat_ticks``: a leader is silent towards a follower for no longer than this.
    ``lease_margin_ticks``: by how much (besides one tick of rounding) the leader's lease is shorter than the election
    timeout; it covers clocks that run at different speeds.
    ``max_inflight``: append messages on their way to one follower before it has answered.
    ``max_uncommitted_bytes``: data proposed and not yet committed before ``propose`` refuses.
    ``max_pending_reads``: read contexts waiting for their index before further ones are refused.
    ``max_committed_entries``: entries in one ``Ready.committed``, so that applying never takes long at a stretch.
    ``chunk_timeout_ticks``: an unanswered snapshot chunk is sent again after this.
    ``trailing_entries``: kept in the log behind a snapshot, so that a slow follower seldom needs the snapshot.
    """

    id: str
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    lease_margin_ticks: int = 2
    max_entries_per_append: int = 512
    max_bytes_per_append: int = 1 << 20
    max_inflight: int = 32
    max_uncommitted_bytes: int = 64 << 20
    max_pending_reads: int = 65536
    max_committed_entries: int = 2048
    chunk_timeout_ticks: int = 10
    trailing_entries: int = 10240
    pre_vote: bool = True
    check_quorum: bool = True

    def __post_init__(self) -> None:
        if not self.id:
            raise ConfigError("raft: the server's id is empty")
        limits = (
            "heartbeat_ticks", "max_entries_per_append", "max_bytes_per_append", "max_inflight",
            "max_uncommitted_bytes", "max_pending_reads", "max_committed_entries", "chunk_timeout_ticks",
        )  # fmt: skip
        for name in limits:
            if getattr(self, name) < 1:
                raise ConfigError(f"raft: {name} must be at least 1, not {getattr(self, name)}")
        if self.trailing_entries < 0 or self.lease_margin_ticks < 0:
            raise ConfigError("raft: trailing_entries and lease_margin_ticks must not be negative")
        if self.lease_ticks <= self.heartbeat_ticks:
            raise ConfigError(
                f"raft: an election timeout of {self.election_ticks} ticks leaves no lease beyond heartbeats every "
                f"{self.heartbeat_ticks} ticks and a margin of {self.lease_margin_ticks}"
            )

    @property
    def lease_ticks(self) -> int:
        """How long a confirmed round keeps the lease. A follower's count of ticks may begin just before a tick, hence
        one less than its election timeout even when clocks agree."""
        return self.election_ticks - 1 - self.lease_margin_ticks


class AddVoter(msgspec.Struct, frozen=True):
    """A new voter, a non-voter promoted, or a voter under a new address."""

    id: str
    address: str


class AddNonVoter(msgspec.Struct, frozen=True):
    """A server that receives entries and does not count; a voter stays one and only gets the address."""

    id: str
    address: str


class DemoteVoter(msgspec.Struct, frozen=True):
    """The voter becomes a non-voter. No effect on unknown servers."""

    id: str


class RemoveServer(msgspec.Struct, frozen=True):
    """No effect on unknown servers."""

    id: str


Change = AddVoter | AddNonVoter | DemoteVoter | RemoveServer


def changed(configuration: Configuration, change: Change) -> Configuration:
    """The configuration after the change; at most one server differs. Raises CallerError when no voter is left."""
    servers: list[Server] = []
    known = False
    for server in configuration.servers:
        if server.id != change.id:
            servers.append(server)
            continue
        known = True
        if isinstance(change, AddVoter):
            servers.append(Server(server.id, change.address, True))
        elif isinstance(change, AddNonVoter):
            servers.append(Server(server.id, change.address, server.voter))
        elif isinstance(change, DemoteVoter):
            servers.append(Server(server.id, server.address, False))
    if not known and isinstance(change, AddVoter | AddNonVoter):
        servers.append(Server(change.id, change.address, isinstance(change, AddVoter)))
    if not any(server.voter for server in servers):
        raise CallerError("need at least one voter in the Raft configuration")
    return Configuration(tuple(servers))


def checked(configuration: Configuration) -> Configuration:
    """A first configuration in the one order that all servers agree on. Raises CallerError."""
    servers = tuple(sorted(configuration.servers, key=lambda server: server.id))
    ids = [server.id for server in servers]
    if not all(ids) or len(set(ids)) != len(ids):
        raise CallerError("a Raft configuration needs a distinct id for each server")
    if not any(server.voter for server in servers):
        raise CallerError("need at least one voter in the Raft configuration")
    return Configuration(servers)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Configuration)


def encode_configuration(configuration: Configuration) -> bytes:
    """The data of a CONFIG entry."""
    return _encoder.encode(configuration)


def decode_configuration(data: bytes) -> Configuration:
    """Raises DecodeError."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"a Raft configuration entry cannot be read: {error}") from error


def configurations_in(entries: Iterable[Entry]) -> list[tuple[int, Configuration]]:
    """The configurations among the entries with their indexes. Raises DecodeError."""
    return [(entry.index, decode_configuration(entry.data)) for entry in entries if entry.kind == CONFIG]


class Configurations:
    """The configurations in the log, oldest first, over the one that the snapshot (or nothing) gave.

    The newest is in force from the moment it is appended (Raft dissertation, section 4.1). The older ones are kept
    because cutting the log off brings the one before back, and because a snapshot needs the one of its index.
    """

    __slots__ = ("_history",)

    def __init__(self, index: int, configuration: Configuration) -> None:
        self._history: list[tuple[int, Configuration]] = [(index, configuration)]

    @property
    def index(self) -> int:
        return self._history[-1][0]

    @property
    def latest(self) -> Configuration:
        return self._history[-1][1]

    @property
    def before(self) -> Configuration:
        """The one that the latest replaced (the latest itself when none is known)."""
        return self._history[-2 if len(self._history) > 1 else -1][1]

    def at(self, index: int) -> tuple[int, Configuration]:
        """The configuration in force at a log index, with the index of its own entry."""
        for item in reversed(self._history):
            if item[0] <= index:
                return item
        invariant(False, "no configuration is known that far back", index=index, oldest=self._history[0][0])
        raise AssertionError

    def append(self, index: int, configuration: Configuration) -> None:
        invariant(index > self.index, "configurations must come in log order", index=index, latest=self.index)
        self._history.append((index, configuration))

    def cut(self, index: int) -> bool:
        """Forgets those at ``index`` and after. True when the one in force changed."""
        history = self._history
        count = len(history)
        while len(history) > 1 and history[-1][0] >= index:
            history.pop()
        return len(history) != count

    def compact(self, index: int) -> None:
        """Forgets those that were no longer in force at ``index``."""
        history = self._history
        while len(history) > 1 and history[1][0] <= index:
            del history[0]
