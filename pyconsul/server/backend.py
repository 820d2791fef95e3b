"""What the HTTP API may ask of the server under it: consistency of reads, replicated writes, facts about the cluster.

``api/`` is written against these protocols and knows nothing of Raft, disk or gossip; tests pass a small one in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import msgspec

from pyconsul.errors import PyconsulError
from pyconsul.fsm.commands import AnyCommand
from pyconsul.records.autopilot import AutopilotState
from pyconsul.records.catalog import Coordinate
from pyconsul.records.session import Session
from pyconsul.state.store import Store


class ReadMode(Enum):
    """HTTP reference, "Consistency": default reads are the leader's by its lease, consistent ones confirmed by a
    majority, stale ones whatever this server has."""

    DEFAULT = "leader"
    CONSISTENT = "consistent"
    STALE = "stale"


class ReadMeta(msgspec.Struct, frozen=True, gc=False):
    """What a read tells about itself. ``last_contact_ms``: age of the contact with the leader, 0 unless stale on a
    follower. ``forwarded``: in Consul another server would have answered (errors carry a prefix)."""

    known_leader: bool
    last_contact_ms: int
    forwarded: bool


class RaftPeer(msgspec.Struct, frozen=True):
    """A line of the Raft configuration, as ``operator/raft/configuration`` shows it."""

    id: str
    node: str
    address: str
    leader: bool
    protocol_version: str
    voter: bool
    last_index: int


class MemberInfo(msgspec.Struct, frozen=True):
    """A gossip member as ``agent/members`` shows it. ``status``: 0 none, 1 alive, 2 leaving, 3 left, 4 failed."""

    name: str
    address: str
    port: int
    tags: dict[str, str]
    status: int
    protocol_min: int
    protocol_max: int
    protocol_cur: int
    delegate_min: int
    delegate_max: int
    delegate_cur: int


class KeyringAnswer(msgspec.Struct, frozen=True):
    """What the members of one pool say about their keys. ``keys``, ``primary_keys``: base64 to the number of members
    that have it; ``nodes``: members; ``messages``: node to text. ``error``: empty when all is well."""

    wan: bool
    datacenter: str
    keys: dict[str, int]
    primary_keys: dict[str, int]
    nodes: int
    messages: dict[str, str]
    error: str


class ConsensusApi(Protocol):
    """Reads and writes of the replicated state."""

    @property
    def store(self) -> Store:
        """This server's copy of the state. Only read it right after ``read_now``/``read``, without an await between.
        It may be another object after a snapshot was installed: do not keep it."""

    @property
    def is_leader(self) -> bool: ...

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        """The answer when the read may be served from ``store`` at once; None: use ``read``. Never blocks."""

    def read_then(self, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        """As ``read``, without a task: ``done`` is called once from the event loop, perhaps inside this call."""

    async def read(self, mode: ReadMode) -> ReadMeta:
        """Waits until a read of this mode may be served. Raises NoLeaderError after the hold time, RpcError."""

    def submit(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        """Replicates a command. ``done`` is called exactly once, from the event loop, never inside this call, with the
        result (fsm/commands.py) or with an instance of ApplyError or RetryError; a RetryError's or ApplyError's
        ``forwarded`` attribute is True when the answer came from another server."""

    async def write(self, command: AnyCommand) -> object:
        """As ``submit``: returns the result, raises the errors."""

    async def renew_session(self, session_id: str) -> Session | None:
        """Starts its TTL again, at the leader; None: no such session. Raises RetryError, ApplyError (bad id)."""

    async def session_times(self) -> dict[str, float]:
        """Seconds that each session with a TTL has left, as the leader counts them; {} when no leader tells."""

    def leader_address(self) -> str:
        """host:port of the leader's RPC, "" when unknown."""

    def peer_addresses(self) -> list[str]:
        """host:port of all Raft peers, [] before bootstrap."""

    async def raft_configuration(self, stale: bool) -> tuple[list[RaftPeer], int]:
        """Peers in configuration order, and the configuration's index. Raises NoLeaderError unless stale."""


class OperatorApi(Protocol):
    """What operators ask of the leader. All raise NoLeaderError after the hold time, RpcError, and CallerError (500)
    with the reason when it cannot be done."""

    async def autopilot_state(self) -> AutopilotState | None:
        """None: the leader has not looked at the servers yet."""

    async def remove_peer(self, id_: str | None, address: str) -> None:
        """Takes the server with this id, or (None) with this address, out of the Raft configuration; returns when that
        is committed."""

    async def transfer_leadership(self, to: str) -> None:
        """To the server with this id, or to the one that is best fit for it (""); returns when it is done."""


class AgentApi(Protocol):
    """What concerns this agent and the gossip pool."""

    def members(self, wan: bool) -> list[MemberInfo]: ...

    def self_info(self) -> dict[str, Any]:
        """Config, DebugConfig, Coord, Member, Stats and Meta as ``agent/self`` shows them."""

    async def join(self, address: str, wan: bool) -> None:
        """Raises CallerError (500) with Consul's list text when the address cannot be joined."""

    async def leave(self) -> None:
        """Leaves the cluster; returns when done; the process ends afterwards."""

    async def force_leave(self, node: str, prune: bool) -> None:
        """Raises CallerError (500) ``agent: No node found with name '…'``."""

    async def reload(self) -> None:
        """Reads the configuration again. Raises ConfigError."""

    def fire_event(self, name: str, payload: bytes) -> None:
        """Sends a gossip user event; name and payload as they are on the wire (codec.user_event). Raises CallerError
        (500) when too large."""

    async def keyring(self, operation: str, key: str, relay_factor: int, local_only: bool) -> list[KeyringAnswer]:
        """``operation``: list, install, use or remove; ``key`` in base64. WAN first, then LAN. Raises CallerError (500)
        on an agent that is no server."""

    def wan_coordinates(self) -> list[Coordinate]:
        """Of the servers of this datacenter, by the names of their nodes."""

    def update_coordinate(self, coordinate: Coordinate) -> None:
        """Takes a node's coordinate, to be written with others within seconds."""


class Backend(Protocol):
    """One agent as the API sees it. ``datacenters`` are the known ones, own first."""

    node_name: str
    node_id: str
    datacenter: str

    @property
    def consensus(self) -> ConsensusApi: ...

    @property
    def operators(self) -> OperatorApi: ...

    @property
    def agent(self) -> AgentApi: ...

    def datacenters(self) -> list[str]: ...
