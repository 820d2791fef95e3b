"""A real ``serf`` agent takes our pool for one of its own, and the other way round."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pyconsul.clock import SystemClock, seeded_random
from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.queries import QueryOptions
from pyconsul.gossip.timings import LAN, Timings
from pyconsul.server.gossip_config import GossipConfig
from pyconsul.server.gossip_loop import GossipPool

SERF = shutil.which("serf")
pytestmark = [
    pytest.mark.skipif(SERF is None, reason="no serf command here (Debian: apt install serf)"),
    pytest.mark.timeout(180),
]
KEY = bytes(range(32))

# Each agent takes seconds to start, to leave and to be missed: the second variant runs with `pytest -m slow`.
both_ways = pytest.mark.parametrize("pair", ["encrypted", pytest.param("plain", marks=pytest.mark.slow)], indirect=True)


def free_port(address: str) -> int:
    """A port that is free for both protocols right now."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((address, port))
                return port


class Agent:
    """A ``serf`` process on 127.0.0.62."""

    def __init__(self, folder: Path, key: bytes | None) -> None:
        self.address = "127.0.0.62"
        self.port = free_port(self.address)
        self.rpc = f"{self.address}:{free_port(self.address)}"
        self.log = folder / "serf.log"
        command = [
            str(SERF), "agent", "-node=real", f"-bind={self.address}:{self.port}", f"-rpc-addr={self.rpc}",
            "-tag", "color=red", "-log-level=debug", f"-snapshot={folder / 'snapshot'}",
        ]  # fmt: skip
        if key is not None:
            command.append("-encrypt=" + base64.b64encode(key).decode())
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    @property
    def where(self) -> str:
        return f"{self.address}:{self.port}"

    async def run(self, command: str, *arguments: str, check: bool = True) -> str:
        process = await asyncio.create_subprocess_exec(
            str(SERF), command, f"-rpc-addr={self.rpc}", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert not check or process.returncode == 0, output.decode()
        return output.decode()

    async def ready(self) -> None:
        async def answers() -> bool:
            return "real" in await self.run("members", check=False)

        await eventually(answers, "the serf agent answers")

    async def members(self) -> dict[str, tuple[str, dict[str, str]]]:
        shown = json.loads(await self.run("members", "-format=json"))["members"]
        return {member["name"]: (member["status"], member["tags"]) for member in shown}


async def eventually(condition: Callable[[], Any], what: str, seconds: float = 40.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert loop.time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.1)


class Pair:
    def __init__(self, pool: GossipPool, agent: Agent, events: list[GossipEvent]) -> None:
        self.pool = pool
        self.agent = agent
        self.events = events

    @property
    def where(self) -> str:
        return f"{self.pool.local_address}:{self.pool.local_port}"

    def status(self, name: str) -> str:
        member = self.pool.member(name)
        return "unknown" if member is None else member.status_name

    async def both_alive(self) -> bool:
        theirs = {name: status for name, (status, _) in (await self.agent.members()).items()}
        ours = {member.name: member.status_name for member in self.pool.members()}
        return theirs == ours == {"real": "alive", "ours": "alive"}


@pytest.fixture
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    key = KEY if request.param == "encrypted" else None
    events: list[GossipEvent] = []
    timings: Timings = LAN
    config = GossipConfig(
        name="ours",
        bind_address="127.0.0.61",
        bind_port=0,
        tags={"role": "node", "empty": ""},
        keyring=Keyring([key]) if key is not None else None,
        timings=timings,
    )
    pool = GossipPool(config, SystemClock(), seeded_random(3), events.append, logging.getLogger("test"))
    agent = Agent(tmp_path, key)
    try:
        await pool.start()
        await agent.ready()
        yield Pair(pool, agent, events)
    finally:
        await pool.stop()
        if agent.process.poll() is None:
            agent.process.kill()
        agent.process.wait()


@both_ways
async def test_it_joins_us_and_everything_passes_both_ways(pair: Pair) -> None:
    pool, agent = pair.pool, pair.agent
    await agent.run("join", pair.where)
    await eventually(pair.both_alive, "both list both as alive")
    assert (await agent.members())["ours"][1] == {"role": "node", "empty": ""}
    real = pool.member("real")
    assert real is not None and real.tags == {"color": "red"}

    pool.fire_event("from-us", b"payload", False)
    await agent.run("event", "-coalesce=false", "from-serf", "their payload")
    await eventually(
        lambda: ("from-serf", b"their payload") in [(event.name, event.payload) for event in pair.events],
        "their event reaches us",
    )
    await eventually(lambda: "user-event: from-us" in agent.log.read_text(), "our event reaches them")

    pool.set_tags({"role": "changed"})
    await agent.run("tags", "-set", "color=blue")

    async def tags_seen() -> bool:
        return (await agent.members())["ours"][1] == {"role": "changed"}

    await eventually(tags_seen, "they see our new tags")
    await eventually(lambda: pool.member("real").tags == {"color": "blue"}, "we see theirs")  # type: ignore[union-attr]

    async def answer() -> None:
        await eventually(lambda: any(event.kind == "query" for event in pair.events), "the query reaches us")
        query = next(event for event in pair.events if event.kind == "query")
        pool.respond(query.query_id, b"pong")

    answering = asyncio.create_task(answer())
    output = await agent.run("query", "-timeout=1s", "ping", "x")
    await answering
    assert "Response from 'ours': pong" in output
    assert "Ack from 'ours'" in output
    result = await pool.query("_serf_ping", b"", QueryOptions(want_acks=True, timeout=1.0))
    assert set(result.acks) == {"real", "ours"}
    assert "ms" in await agent.run("rtt", "ours")
    assert pool.counters()["bad_packets"] == 0

    if pool.encrypted:
        new = bytes(16)
        assert (await pool.keyring("install", new)).error == ""
        assert (await pool.keyring("use", new)).error == ""
        assert "[2/2]" in await agent.run("keys", "-list")
        await agent.run("keys", f"-remove={base64.b64encode(KEY).decode()}")
        assert pool.config.keyring is not None and pool.config.keyring.keys == [new]

    await agent.run("leave")
    await eventually(lambda: pair.status("real") == "left", "it left")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["plain", "encrypted"], indirect=True)
async def test_we_join_it_then_leave(pair: Pair) -> None:
    assert await pair.pool.join([pair.agent.where]) == (1, [])
    await eventually(pair.both_alive, "both list both as alive")
    await pair.pool.leave()
    await pair.pool.stop()

    async def left() -> bool:
        return (await pair.agent.members())["ours"][0] == "left"

    await eventually(left, "they see us as left")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["plain", "encrypted"], indirect=True)
async def test_it_is_killed(pair: Pair) -> None:
    await pair.pool.join([pair.agent.where])
    await eventually(pair.both_alive, "both list both as alive")
    pair.agent.process.kill()
    start = asyncio.get_running_loop().time()
    await eventually(lambda: pair.status("real") == "failed", "it failed")
    # Two members: up to two probe intervals until its turn, one to probe it, the flat suspicion of 4 s.
    assert 4.0 <= asyncio.get_running_loop().time() - start <= 20.0


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["plain", "encrypted"], indirect=True)
async def test_we_are_killed(pair: Pair) -> None:
    await pair.agent.run("join", pair.where)
    await eventually(pair.both_alive, "both list both as alive")
    await pair.pool.stop()

    async def failed() -> bool:
        return (await pair.agent.members())["ours"][0] == "failed"

    await eventually(failed, "they see us as failed")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["plain", "encrypted"], indirect=True)
async def test_both_stay_alive_for_a_minute(pair: Pair) -> None:
    await pair.agent.run("join", pair.where)
    await eventually(pair.both_alive, "both list both as alive")
    loop = asyncio.get_running_loop()
    end = loop.time() + 60
    while loop.time() < end:
        await asyncio.sleep(1.0)
        assert await pair.both_alive()
    assert "suspect" not in pair.agent.log.read_text().lower()
    assert not [event for event in pair.events if event.kind in ("member-failed", "member-leave")]


@pytest.mark.parametrize("pair", ["encrypted"], indirect=True)
async def test_another_key_is_refused(pair: Pair) -> None:
    config = GossipConfig(name="stranger", bind_address="127.0.0.63", bind_port=0, keyring=Keyring([bytes(32)]))
    stranger = GossipPool(config, SystemClock(), seeded_random(4), print, logging.getLogger("test"))
    await stranger.start()
    try:
        count, errors = await stranger.join([pair.agent.where])
        assert count == 0
        assert "No installed keys could decrypt the message" in errors[0]
    finally:
        await stranger.stop()
