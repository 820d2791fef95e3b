"""A single server in memory under the HTTP API: no Raft, no disk, no gossip.

Commands are applied on the next turn of the loop, in the order in which they were submitted; sessions end by their TTL
and lock-delays hold as on a real server. For tests of the API and of clients:

    python -m pyconsul.testing.local_backend --port 8500
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from pyconsul.agent.local_services import LocalServices
from pyconsul.agent.local_state import LocalState
from pyconsul.api.limits import HttpSettings
from pyconsul.api.server import HttpServer
from pyconsul.clock import Clock, SystemClock, random_uuid, system_random
from pyconsul.errors import ApplyError, CallerError, PyconsulError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, AutopilotConfigSet, CoordinateBatch, KVLock, Register, SessionDestroy, Txn
from pyconsul.records.autopilot import AutopilotServer, AutopilotState
from pyconsul.records.catalog import (
    CONSUL_SERVICE,
    PASSING,
    SERF_ALIVE_OUTPUT,
    SERF_CHECK_ID,
    SERF_CHECK_NAME,
    Check,
    Coordinate,
    Node,
    Service,
)
from pyconsul.records.session import Session
from pyconsul.records.txn import TxnResult
from pyconsul.server.autopilot import DEFAULTS
from pyconsul.server.backend import KeyringAnswer, MemberInfo, RaftPeer, ReadMeta, ReadMode
from pyconsul.server.lock_delays import LockDelays
from pyconsul.server.session_timers import SessionTimers
from pyconsul.state.effects import SessionCreated, SessionEnded
from pyconsul.state.store import Store
from pyconsul.state.txn import precheck
from pyconsul.version import CONSUL_API_VERSION

COORDINATE_SECONDS = 1.0
META = ReadMeta(known_leader=True, last_contact_ms=0, forwarded=False)


class LocalConsensus:
    """Always the leader. ``timers`` and ``lock_delays`` are those of a real leader."""

    def __init__(self, clock: Clock, node_name: str, node_id: str, address: str) -> None:
        self.machine = StateMachine(Store())
        self.timers = SessionTimers()
        self.lock_delays = LockDelays()
        self._clock = clock
        self._node_name = node_name
        self._node_id = node_id
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[AnyCommand, Callable[[object], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def store(self) -> Store:
        return self.machine.store

    @property
    def is_leader(self) -> bool:
        return True

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        return META

    def read_then(self, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        done(META)

    async def read(self, mode: ReadMode) -> ReadMeta:
        return META

    def submit(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        if not self._queue:
            self._loop.call_soon(self._apply_queue)
        self._queue.append((command, done))

    async def write(self, command: AnyCommand) -> object:
        future: asyncio.Future[object] = self._loop.create_future()

        def done(result: object) -> None:
            if not future.done():
                future.set_result(result)

        self.submit(command, done)
        result = await future
        if isinstance(result, Exception):
            raise result
        return result

    async def renew_session(self, session_id: str) -> Session | None:
        session = self.store.sessions.get(session_id)
        if session is not None:
            self.timers.start(session, self._clock.monotonic())
            self._arm()
        return session

    async def session_times(self) -> dict[str, float]:
        return self.timers.remaining(self._clock.monotonic())

    def leader_address(self) -> str:
        return self._address

    def peer_addresses(self) -> list[str]:
        return [self._address]

    async def raft_configuration(self, stale: bool) -> tuple[list[RaftPeer], int]:
        index = self.machine.applied_index
        return [RaftPeer(self._node_id, self._node_name, self._address, True, "3", True, index)], 0

    def apply(self, command: AnyCommand) -> object:
        """Applies at once, with the checks of a leader."""
        now_s = self._clock.monotonic()
        if isinstance(command, KVLock) and self.lock_delays.delayed(command.key, now_s):
            return False
        if isinstance(command, Txn):
            errors = precheck(command.ops, lambda key: self.lock_delays.delayed(key, now_s))
            if errors:
                return TxnResult([], errors)
        result = self.machine.apply(self.machine.applied_index + 1, command)
        for effect in self.machine.drain_effects():
            if isinstance(effect, SessionCreated):
                self.timers.start(effect.session, now_s)
            elif isinstance(effect, SessionEnded):
                self.timers.stop(effect.session.id)
                self.lock_delays.start(effect.keys, effect.session.lock_delay_ns, now_s)
        self._arm()
        return result

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _apply_queue(self) -> None:
        queue, self._queue = self._queue, []
        for command, done in queue:
            done(self.apply(command))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.timers.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - self._clock.monotonic()), self._expire)

    def _expire(self) -> None:
        for session_id in self.timers.expired(self._clock.monotonic()):
            self.apply(SessionDestroy(session_id))
        self._arm()


class LocalOperators:
    """The operator's view of a cluster of one."""

    def __init__(self, consensus: LocalConsensus, node_name: str, node_id: str, address: str) -> None:
        self._consensus = consensus
        self._node_name = node_name
        self._node_id = node_id
        self._address = address
        self._since_ns = int(SystemClock().wall() * 1e9)

    async def autopilot_state(self) -> AutopilotState | None:
        node = self._consensus.store.catalog.node(self._node_name)
        server = AutopilotServer(
            self._node_id, self._node_name, self._address, "alive", CONSUL_API_VERSION, True, True, False, 0, 1,
            self._consensus.machine.applied_index, True, self._since_ns, node.meta if node is not None else None,
        )  # fmt: skip
        return AutopilotState(True, 0, [server])

    async def remove_peer(self, id_: str | None, address: str) -> None:
        what = f'id "{id_}"' if id_ is not None else f'address "{address}"'
        if self._node_id == id_ or (id_ is None and self._address == address):
            raise CallerError("need at least one voter in the Raft configuration", 500)
        raise CallerError(f"{what} was not found in the Raft configuration", 500)

    async def transfer_leadership(self, to: str) -> None:
        raise CallerError("cannot find a server to transfer leadership to", 500)


class LocalAgent:
    """An agent that is alone. ``deliver`` takes the gossip events it fires (name, payload, Lamport time)."""

    def __init__(self, member: MemberInfo, datacenter: str, node_id: str) -> None:
        self.member = member
        self.datacenter = datacenter
        self.node_id = node_id
        self.left = False
        self.deliver: Callable[[str, bytes, int], object] = lambda name, payload, time: None
        self.write_coordinates: Callable[[CoordinateBatch], object] = lambda batch: None
        self.gathered: dict[str, Coordinate] = {}
        self._lamport_time = 0
        self._loop = asyncio.get_running_loop()

    def members(self, wan: bool) -> list[MemberInfo]:
        if wan:
            return [msgspec.structs.replace(self.member, name=f"{self.member.name}.{self.datacenter}")]
        return [self.member]

    def self_info(self) -> dict[str, Any]:
        return {
            "Config": {
                "Datacenter": self.datacenter,
                "NodeName": self.member.name,
                "NodeID": self.node_id,
                "Server": True,
            },
            "Member": {"Name": self.member.name, "Addr": self.member.address, "Status": 1},
        }

    async def join(self, address: str, wan: bool) -> None:
        if address != self.member.address:
            raise CallerError(f"1 error occurred:\n\t* Failed to join {address}: nobody is there\n\n", 500)

    async def leave(self) -> None:
        self.left = True

    async def force_leave(self, node: str, prune: bool) -> None:
        if node != self.member.name:
            raise CallerError(f"agent: No node found with name '{node}'", 500)

    async def reload(self) -> None:
        """There is no configuration to be read again."""

    def fire_event(self, name: str, payload: bytes) -> None:
        self._lamport_time += 1
        self._loop.call_soon(self.deliver, name, payload, self._lamport_time)

    async def keyring(self, operation: str, key: str, relay_factor: int, local_only: bool) -> list[KeyringAnswer]:
        """Nothing is encrypted here."""
        if operation == "list":
            why = "Keyring is empty (encryption not enabled)"
        else:
            why = "No keyring to modify (encryption not enabled)"
        failed = "1/1 nodes reported failure"
        return [
            KeyringAnswer(wan, self.datacenter, {}, {}, 1, {self.members(wan)[0].name: why}, failed)
            for wan in ((False,) if local_only else (True, False))
        ]

    def wan_coordinates(self) -> list[Coordinate]:
        return [Coordinate(self.member.name, [0.0] * 8, 1.5, 0.0, 1.0e-5)]

    def update_coordinate(self, coordinate: Coordinate) -> None:
        self.gathered[coordinate.node] = coordinate
        if len(self.gathered) == 1:
            self._loop.call_later(COORDINATE_SECONDS, self._write_coordinates)

    def _write_coordinates(self) -> None:
        gathered, self.gathered = list(self.gathered.values()), {}
        self.write_coordinates(
            CoordinateBatch([(one.node, one.vec, one.error, one.adjustment, one.height) for one in gathered])
        )


class LocalBackend:
    """See the module. The catalog begins with this node, its serfHealth and its service ``consul``."""

    def __init__(
        self,
        node_name: str = "local",
        datacenter: str = "dc1",
        address: str = "127.0.0.1",
        rpc_port: int = 8300,
        clock: Clock | None = None,
    ) -> None:
        self.node_name = node_name
        self.node_id = random_uuid()
        self.datacenter = datacenter
        self.consensus = LocalConsensus(clock or SystemClock(), node_name, self.node_id, f"{address}:{rpc_port}")
        self.operators = LocalOperators(self.consensus, node_name, self.node_id, f"{address}:{rpc_port}")
        tags = {"role": "consul", "dc": datacenter, "id": self.node_id, "port": str(rpc_port), "segment": ""}
        member = MemberInfo(node_name, address, 8301, tags, 1, 1, 5, 2, 2, 5, 4)
        self.agent = LocalAgent(member, datacenter, self.node_id)
        self.agent.write_coordinates = self.consensus.apply
        addresses = {"lan": address, "lan_ipv4": address, "wan": address, "wan_ipv4": address}
        node = Node(self.node_id, node_name, address, datacenter, addresses, {"consul-network-segment": ""})
        random = system_random()
        self.local = LocalServices(
            LocalState(node_name, random), lambda: self.consensus, lambda: node, clock or SystemClock(), random,
            logging.getLogger("agent"),
        )  # fmt: skip
        registered = self.consensus.apply(
            Register(
                node,
                Service(node_name, CONSUL_SERVICE, CONSUL_SERVICE, [], "", {}, rpc_port),
                [Check(node_name, SERF_CHECK_ID, SERF_CHECK_NAME, PASSING, "", SERF_ALIVE_OUTPUT)],
            )
        )
        if isinstance(registered, ApplyError):
            raise registered
        self.consensus.apply(AutopilotConfigSet(DEFAULTS, 0))

    def datacenters(self) -> list[str]:
        return [self.datacenter]


async def local_server(settings: HttpSettings | None = None, backend: LocalBackend | None = None) -> HttpServer:
    """An HTTP server over a local backend, not listening yet; ``close`` ends it."""
    backend = backend or LocalBackend()
    server = HttpServer(backend, settings)
    backend.agent.deliver = lambda name, payload, time: server.events.receive(
        name, payload, time, backend.node_name, backend.local.state.tags_by_service()
    )
    return server


async def _serve(port: int, settings: HttpSettings) -> None:
    backend = LocalBackend()
    server = await local_server(settings, backend)
    backend.local.start()
    bound = await server.start(["127.0.0.1"], port)
    logging.getLogger("agent.http").info("Listening: address=%s port=%d", *bound[0])
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="The HTTP API over a store in memory")
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--settings", default="{}", help="HttpSettings as JSON")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    settings = msgspec.json.decode(args.settings, type=HttpSettings)
    try:
        import uvloop

        uvloop.run(_serve(args.port, settings))
    except ImportError:
        asyncio.run(_serve(args.port, settings))


if __name__ == "__main__":
    main()
