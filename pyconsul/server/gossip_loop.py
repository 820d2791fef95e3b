"""A gossip pool: the core of gossip/, its sockets, its timer and its file, on one event loop.

Everything happens in calls of the core's doors, each followed by ``_flush``, which carries out the effects. Nothing in
here decides what a message means.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from pyconsul.clock import Clock, Random
from pyconsul.errors import CallerError, ConfigError, DecodeError, PeerError, StorageError
from pyconsul.gossip.context import (
    BroadcastDone,
    Datagram,
    Effect,
    GossipEvent,
    KeyringChanged,
    Log,
    OpenStream,
    QueryAnswer,
    QueryDone,
    Record,
    ShutDown,
)
from pyconsul.gossip.coordinate import Coordinate
from pyconsul.gossip.core import GossipCore
from pyconsul.gossip.keyring import NO_KEY
from pyconsul.gossip.member import FAILED, LEFT, Member, address_text
from pyconsul.gossip.messages import Err, PushPull
from pyconsul.gossip.packet import Security
from pyconsul.gossip.queries import TO_ALL, QueryOptions
from pyconsul.gossip.serf import SerfConfig
from pyconsul.gossip.stream_codec import StreamDecoder, StreamError, StreamMessage, encode_stream
from pyconsul.gossip.swim import SwimConfig
from pyconsul.net.stream import StreamServer, endpoint, exchange, read_message
from pyconsul.net.udp import UdpEndpoint
from pyconsul.server.bounded_log import BoundedLog, printable
from pyconsul.server.gossip_answers import QueryResult, Waiting
from pyconsul.server.gossip_config import GossipConfig, address_filter
from pyconsul.server.gossip_keys import KeyOperation, KeyringReport, run_key_query
from pyconsul.server.gossip_records import RecordWriter
from pyconsul.server.gossip_resolve import Resolved, resolve
from pyconsul.server.gossip_sockets import bind_both
from pyconsul.storage.member_snapshot import MemberSnapshotFile

LONG_MESSAGE = 16 * 1024  # bytes whose compression would be felt by others on the loop
PUSH_PULLS_MAX = 128


class Logger(Protocol):
    """What is needed of a ``logging.Logger``."""

    def log(self, level: int, msg: str, *args: object) -> None: ...

    def getChild(self, suffix: str) -> Logger: ...


class GossipPool:
    """``on_event`` is called on the event loop, in order, for everything the application should know.

    ``log`` is the agent's logger (``agent.server``, ``agent.client``); lines go to its children ``serf.POOL`` and
    ``memberlist.POOL``.
    """

    def __init__(
        self,
        config: GossipConfig,
        clock: Clock,
        random: Random,
        on_event: Callable[[GossipEvent], None],
        log: Logger,
    ) -> None:
        self.config = config
        self._clock = clock
        self._random = random
        self._on_event = on_event
        self._logs = {part: log.getChild(f"{part}.{config.pool}") for part in ("serf", "memberlist")}
        self._security = Security(
            nonce=secrets.token_bytes,
            ring=config.keyring,
            label=config.label.encode(),
            verify_incoming=config.verify_incoming,
            verify_outgoing=config.verify_outgoing,
            version=config.encryption_version,
        )
        self._address = ""
        self._port = 0
        self._core: GossipCore | None = None
        self._udp: UdpEndpoint | None = None
        self._tcp: StreamServer | None = None
        self._records: RecordWriter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_when = 0.0
        self._flushing = False
        self._running = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._tokens: dict[int, asyncio.Future[None]] = {}
        self._queries: dict[int, Waiting] = {}
        self._push_pulls = 0
        self._log_bad = BoundedLog(clock, lambda text: self._write_log("memberlist", logging.ERROR, text))
        self._left = False

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Binds UDP and TCP on one port and announces this member. Raises ConfigError, StorageError."""
        config = self.config
        allowed = address_filter(config.allowed_networks)
        lines: list[str] | None = None
        if config.snapshot_path is not None:
            file, lines = await asyncio.to_thread(MemberSnapshotFile.open, config.snapshot_path)
            self._records = RecordWriter(file, config.timings.snapshot_interval, self._snapshot_failed)
        try:
            udp, tcp = bind_both(config.bind_address, config.bind_port)
        except ConfigError:
            await self._close_file()
            raise
        try:
            bound = udp.getsockname()
            self._port = config.advertise_port or bound[1]
            self._address = config.advertise_address or _concrete(bound[0])
            swim = SwimConfig(
                name=config.name,
                address=_packed(self._address),
                port=self._port,
                timings=config.timings,
                security=self._security,
                compression=config.compression,
                allowed=allowed,
            )
            serf = SerfConfig(
                tags=dict(config.tags),
                timings=config.timings,
                merge_check=config.merge_check,
                reconnect_timeout_of=config.reconnect_timeout_of,
                resolve_conflicts=config.resolve_conflicts,
            )
            self._core = GossipCore(swim, serf, self._random, lines, config.rejoin_after_leave)
            self._udp = UdpEndpoint(udp)
            self._tcp = StreamServer(tcp, self._serve)
            await self._udp.start(self._receive, self._socket_failed)
            await self._tcp.start()
            self._running = True
            self._core.start(self._clock.monotonic())
        except BaseException:
            self._running = False
            udp.close()
            tcp.close()
            await self._close_file()
            raise
        self._flush()

    async def stop(self) -> None:
        """Ends without telling anybody. Harmless when stopped or never started."""
        if self._running and not self._left:
            self._write_log("serf", logging.WARNING, "serf: Shutdown without a Leave")
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tcp is not None:
            await self._tcp.stop()
        if self._udp is not None:
            self._udp.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in self._queries.values():
            waiting.finish()
        for future in self._tokens.values():
            future.cancel()
        await self._close_file()

    async def _close_file(self) -> None:
        records, self._records = self._records, None
        if records is not None:
            await records.close()

    def _enter(self) -> GossipCore:
        core = self._core
        if core is None or not self._running:
            raise CallerError("gossip is not running", 500)
        core.context.enter(self._clock.monotonic())
        return core

    # --- what the agent asks for -------------------------------------------------------------------------------

    @property
    def local_address(self) -> str:
        return self._address

    @property
    def local_port(self) -> int:
        return self._port

    @property
    def encrypted(self) -> bool:
        return self._security.enabled

    @property
    def running(self) -> bool:
        return self._running

    def members(self) -> list[Member]:
        return [] if self._core is None else list(self._core.serf.members.values())

    def member(self, name: str) -> Member | None:
        return None if self._core is None else self._core.serf.members.get(name)

    async def join(self, addresses: Sequence[str]) -> tuple[int, list[str]]:
        """Exchanges states with each address; returns how many worked, and a text for each that did not."""
        joined = 0
        errors: list[str] = []
        for address in addresses:
            try:
                targets = await resolve(address, self.config.default_port or self._port)
            except PeerError as error:
                errors.append(f"Failed to resolve {address}: {error}")
                continue
            for target in targets:
                error_text = await self._join_one(target, self.config.ignore_old_events)
                if error_text is None:
                    joined += 1
                else:
                    errors.append(f"Failed to join {target.host}: {error_text}")
        if joined:
            self._enter().serf.join_intent()
            self._flush()
        return joined, errors

    async def _join_one(self, target: Resolved, ignore_old_events: bool) -> str | None:
        core = self._enter()
        effect = core.open_join(self._clock.monotonic(), target.packed, target.port, ignore_old_events)
        try:
            await self._exchange(effect)
        except PeerError as error:
            return str(error)
        return None

    @property
    def remembers_others(self) -> bool:
        """Whether other members are known from before a restart."""
        return bool(self._enter().restored_nodes)

    async def rejoin(self) -> bool:
        """Joins through the members remembered from before a restart; the first that answers is enough."""
        core = self._enter()
        known = list(core.restored_nodes.items())
        self._random.shuffle(known)
        for name, address in known:
            self._write_log(
                "serf", logging.INFO, f"serf: Attempting re-join to previously known node: {name}: {address}"
            )
            try:
                targets = await resolve(address, self.config.default_port or self._port)
            except PeerError:
                continue
            if await self._join_one(targets[0], False) is None:
                self._write_log("serf", logging.INFO, f"serf: Re-joined to previously known node: {name}: {address}")
                return True
        if core.restored_any:
            self._write_log("serf", logging.WARNING, "serf: Failed to re-join any previously known node")
        return False

    def set_tags(self, tags: dict[str, str]) -> None:
        """Raises ConfigError when they are too large."""
        self._enter().serf.set_tags(tags)
        self._flush()

    async def leave(self) -> None:
        """Tells everybody that we leave and waits until they had time to hear it. The pool still answers afterwards."""
        if self._left or not self._running:
            return
        self._left = True
        timings = self.config.timings
        core = self._enter()
        others = core.swim.others_alive()
        token = core.serf.begin_leave()
        await self._transmitted(token)
        token = self._enter().swim.leave()
        await self._transmitted(token)
        if others:
            await asyncio.sleep(timings.leave_propagate_delay)
        if self._records is not None:
            await self._records.flush()

    async def force_leave(self, name: str, prune: bool) -> bool:
        """Declares a failed member as left; False when there is no member of that name."""
        core = self._enter()
        if name not in core.serf.members:
            return False
        await self._transmitted(core.serf.force_leave(name, prune))
        return True

    async def _transmitted(self, token: int | None) -> None:
        """Waits until the broadcast was sent to its limit, or for the broadcast time-out."""
        if token is None:
            self._flush()
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tokens[token] = future
        self._flush()
        try:
            async with asyncio.timeout(self.config.timings.broadcast_timeout):
                await future
        except TimeoutError:
            self._write_log("serf", logging.WARNING, "serf: timeout while waiting for a broadcast to be sent")
        finally:
            self._tokens.pop(token, None)

    def fire_event(self, name: str, payload: bytes, coalesce: bool) -> None:
        """Raises CallerError when it is too large."""
        self._enter().serf.fire_event(name, payload, coalesce)
        self._flush()

    async def query(self, name: str, payload: bytes, options: QueryOptions = TO_ALL, *, enough: int = 0) -> QueryResult:
        """Waits for the time-out, or for ``enough`` responses (0: never enough). Raises CallerError when the query is
        too large."""
        query_id = self._enter().serf.queries.ask(name, payload, options)
        waiting = self._queries[query_id] = Waiting(enough)
        self._flush()
        try:
            await waiting.done
        finally:
            self._queries.pop(query_id, None)
        return waiting.result

    async def keyring(self, operation: KeyOperation, key: bytes = b"", relay_factor: int = 0) -> KeyringReport:
        """Lists or changes the keys of all members. Raises CallerError when the query cannot be sent."""
        return await run_key_query(self, operation, key, relay_factor)

    def respond(self, query_id: int, payload: bytes) -> None:
        """Answers a query event. Raises CallerError when it is too late or too large."""
        self._enter().serf.queries.respond(query_id, payload)
        self._flush()

    def stats(self) -> dict[str, str]:
        """The section of this pool in ``consul info``."""
        core = self._core
        if core is None:
            return {}
        serf = core.serf
        status = [member.status for member in serf.members.values()]
        numbers = {
            "coordinate_resets": serf.coordinate_resets,
            "event_queue": len(serf.event_queue),
            "event_time": serf.events.clock.time,
            "failed": status.count(FAILED),
            "health_score": core.swim.awareness.score,
            "intent_queue": len(serf.intent_queue),
            "left": status.count(LEFT),
            "member_time": serf.clock.time,
            "members": len(status),
            "query_queue": len(serf.query_queue),
            "query_time": serf.queries.clock.time,
        }
        texts = {key: str(value) for key, value in numbers.items()} | {"encrypted": str(self.encrypted).lower()}
        return dict(sorted(texts.items()))

    def counters(self) -> dict[str, int]:
        """Packets received, and what of packets and streams was refused."""
        return {} if self._core is None else msgspec.to_builtins(self._core.counters)

    def coordinate(self) -> Coordinate:
        return Coordinate() if self._core is None else self._core.serf.coordinate

    def coordinates(self) -> dict[str, Coordinate]:
        """The last known coordinate of each member that answered a probe, and our own."""
        return {} if self._core is None else {**self._core.serf.coordinates, self.config.name: self.coordinate()}

    # --- datagrams and the timer -------------------------------------------------------------------------------

    def _receive(self, data: bytes, source: tuple[bytes, int]) -> None:
        core = self._core
        if core is None or not self._running:
            return
        try:
            core.receive(self._clock.monotonic(), data, source)
        except DecodeError as error:
            core.counters.bad_packets += 1
            action = "Decrypt packet failed" if str(error) == NO_KEY else "bad packet"
            self._log_bad(f"memberlist: {action}: {error} from={endpoint(address_text(source[0]), source[1])}")
        self._flush()

    def _socket_failed(self, error: OSError) -> None:
        self._log_bad(f"memberlist: Error on UDP socket: {error}")

    def _tick(self) -> None:
        self._timer = None
        core = self._core
        if core is not None and self._running:
            core.tick(self._clock.monotonic())
            self._flush()

    def _schedule(self) -> None:
        core = self._core
        if core is None or not self._running:
            return
        deadline = core.deadline()
        if deadline is None or (self._timer is not None and self._timer_when <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.0, deadline - self._clock.monotonic())
        self._timer_when = deadline
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    # --- effects -----------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Carries out the effects in order. An application that acts within ``on_event`` comes here again: what it
        caused is carried out by the outer call."""
        core = self._core
        if core is None or self._flushing:
            return
        self._flushing = True
        try:
            while effects := core.effects():
                for effect in effects:
                    self._carry_out(effect)
        finally:
            self._flushing = False
        self._schedule()

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Datagram):
            if self._udp is not None and len(effect.address) in (4, 16):
                self._udp.send(effect.data, address_text(effect.address), effect.port)
        elif isinstance(effect, Log):
            self._write_log(effect.logger, effect.level, effect.text)
        elif isinstance(effect, GossipEvent):
            self._tell(effect)
        elif isinstance(effect, OpenStream):
            self._spawn(self._background_exchange(effect))
        elif isinstance(effect, Record):
            if self._records is not None:
                self._records.add(effect)
        elif isinstance(effect, BroadcastDone):
            future = self._tokens.get(effect.token)
            if future is not None and not future.done():
                future.set_result(None)
        elif isinstance(effect, QueryAnswer):
            waiting = self._queries.get(effect.query_id)
            if waiting is not None:
                waiting.take(effect)
        elif isinstance(effect, QueryDone):
            waiting = self._queries.get(effect.query_id)
            if waiting is not None:
                waiting.finish()
        elif isinstance(effect, KeyringChanged):
            self._spawn(self._save_keyring(effect.keys))
        elif isinstance(effect, ShutDown):
            self._spawn(self.stop())

    def _tell(self, event: GossipEvent) -> None:
        try:
            self._on_event(event)
        except Exception:
            # The application's fault must not cost the other effects: gossip would stop answering.
            self._write_log("serf", logging.ERROR, f"serf: failed to handle {event.kind}: {traceback.format_exc()}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write_log(self, logger: str, level: int, text: str) -> None:
        self._logs[logger].log(level, "%s", printable(text))

    def _snapshot_failed(self, text: str) -> None:
        self._write_log("serf", logging.ERROR, f"serf: Failed to update snapshot: {text}")

    async def _save_keyring(self, keys: Sequence[bytes]) -> None:
        save = self.config.save_keyring
        if save is None:
            return
        try:
            await asyncio.to_thread(save, keys)
        except StorageError as error:
            self._write_log("serf", logging.ERROR, f"serf: failed to write the keyring file: {error}")

    # --- streams -----------------------------------------------------------------------------------------------

    async def _encode(self, message: bytes, initiator: bool) -> bytes:
        compression = self.config.compression
        if len(message) < LONG_MESSAGE:
            return encode_stream(message, self._security, initiator, compression)
        return await asyncio.to_thread(encode_stream, message, self._security, initiator, compression)

    async def _exchange(self, effect: OpenStream) -> None:
        """Raises PeerError."""
        core = self._enter()
        try:
            data = await self._encode(effect.message, initiator=True)
            decoder = StreamDecoder(self._security, initiator=False)
            host = address_text(effect.address)
            timeout = max(0.0, effect.deadline - self._clock.monotonic())
            message: StreamMessage = await exchange(host, effect.port, data, decoder.feed, timeout)
            core.stream_reply(self._clock.monotonic(), effect.id, message)
        finally:
            core.stream_failed(self._clock.monotonic(), effect.id)  # no effect after an answer
            self._flush()

    async def _background_exchange(self, effect: OpenStream) -> None:
        try:
            await self._exchange(effect)
        except PeerError as error:
            self._write_log(
                "memberlist",
                logging.DEBUG,
                f"memberlist: stream to {endpoint(address_text(effect.address), effect.port)} failed: {error}",
            )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        core = self._core
        if core is None:
            return
        decoder = StreamDecoder(self._security, initiator=True)
        peer = writer.get_extra_info("peername") or ("?", 0)
        try:
            async with asyncio.timeout(self.config.timings.stream_timeout):
                try:
                    message: StreamMessage = await read_message(reader, decoder.feed)
                    self._push_pulls += 1
                    try:
                        if isinstance(message, PushPull) and self._push_pulls > PUSH_PULLS_MAX:
                            return
                        answer = core.serve(self._clock.monotonic(), message)
                        self._flush()
                        if answer is not None:
                            writer.write(await self._encode(answer, initiator=False))
                            await writer.drain()
                    finally:
                        self._push_pulls -= 1
                except DecodeError as error:
                    core.counters.bad_streams += 1
                    self._log_bad(f"memberlist: failed to receive: {error} from={endpoint(peer[0], peer[1])}")
                    if isinstance(error, StreamError) and not error.silent:
                        writer.write(await self._encode(Err(str(error)).encode(), initiator=False))
                        await writer.drain()
        except (EOFError, OSError, TimeoutError) as error:
            if decoder.started:
                core.counters.bad_streams += 1
                reason = type(error).__name__ if not str(error) else str(error)
                self._log_bad(f"memberlist: failed to receive: {reason} from={endpoint(peer[0], peer[1])}")


def _packed(address: str) -> bytes:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        raise ConfigError(f"Failed to parse advertise address {address!r}: an IP address is needed") from None


def _concrete(address: str) -> str:
    """An address that others can use when the bound one means all of them."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
