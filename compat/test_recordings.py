"""Plays the conversations recorded from Consul 1.10.7 (compat/recordings) against the HTTP API.

By default in this process, over a store in memory: every scenario that one server can show. Those that wait for TTLs
and lock-delays are marked slow. Whole agents and clusters are asked with ``compat/conform.py`` itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from replaying import KV, Results, files, judge, play, play_all, summary

from pyconsul.api.limits import HttpSettings
from pyconsul.clock import SystemClock
from pyconsul.errors import NoLeaderError, PyconsulError
from pyconsul.fsm.commands import AnyCommand
from pyconsul.records.session import Session
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.testing.local_backend import LocalBackend, LocalConsensus
from pyconsul.testing.local_thread import running_local_server

NOT_ONE_SERVER = {"cluster", "lost-quorum", "no-leader"}
SPECIAL = {"dev-mode", "http-config"}
SLOW = {"lock-delay-slow", "session-ttl-slow"}
PLAIN = [name for name in files(KV) if name not in NOT_ONE_SERVER | SPECIAL | SLOW]

AGENT = [
    "agent-anti-entropy",
    "agent-check-register",
    "agent-check-ttl",
    "agent-maintenance",
    "agent-service-health",
    "agent-service-maintenance",
    "agent-service-read",
    "agent-service-register",
]
"""Of the agent's recordings those about its own services and checks."""

CHECK_KINDS = "agent-check-kinds-slow"

HTTP_CONFIG = HttpSettings(
    block_endpoints=["/v1/event", "/v1/kv/sec"],
    response_headers={"Access-Control-Allow-Origin": "*", "x-lower": "1"},
    kv_max_value_size=100,
    txn_max_req_len=300,
    disable_http_unprintable_char_filter=True,
)

SERVERS = 5


class NoLeader(LocalConsensus):
    """A server that waits for others: what needs a leader fails when the hold time is over."""

    HOLD_S = 7.1

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        return None

    def read_then(self, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        asyncio.get_running_loop().call_later(self.HOLD_S, done, NoLeaderError())

    async def read(self, mode: ReadMode) -> ReadMeta:
        await asyncio.sleep(self.HOLD_S)
        raise NoLeaderError()

    async def renew_session(self, session_id: str) -> Session | None:
        await asyncio.sleep(self.HOLD_S)
        raise NoLeaderError()

    def submit(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        asyncio.get_running_loop().call_later(self.HOLD_S, done, NoLeaderError())

    def leader_address(self) -> str:
        return ""

    def peer_addresses(self) -> list[str]:
        return []


def without_leader() -> LocalBackend:
    backend = LocalBackend()
    backend.consensus = NoLeader(SystemClock(), backend.node_name, backend.node_id, "127.0.0.1:8300")
    return backend


def play_here(names: list[str], settings: HttpSettings, tags: set[str], leader: bool = True) -> Results:
    """What differs, by file and scenario, on a server in this process."""
    with running_local_server(settings, LocalBackend if leader else without_leader) as address:
        return play_all(names, [f"http://{address}"], tags)


@pytest.fixture(scope="module")
def plain() -> Iterator[Results]:
    """Several servers share the files: most of the time goes into waiting for what must not happen."""
    results: Results = {}
    with ThreadPoolExecutor(SERVERS) as pool:
        shares = [PLAIN[first::SERVERS] for first in range(SERVERS)]
        for share in pool.map(lambda names: play_here(names, HttpSettings(), {"plain"}), shares):
            results |= share
    print(f"{summary(results)} on one server")
    yield results


@pytest.mark.parametrize("file", PLAIN)
def test_one_server(plain: Results, file: str) -> None:
    judge(plain, file)


@pytest.fixture(scope="module")
def agent() -> Iterator[Results]:
    results = play_here(AGENT, HttpSettings(ui_enabled=True), set())
    print(f"{summary(results)} of the agent's services and checks")
    yield results


@pytest.mark.parametrize("file", AGENT)
def test_services_and_checks_of_the_agent(agent: Results, file: str) -> None:
    judge(agent, file)


def test_dev_mode() -> None:
    judge(play_here(["dev-mode"], HttpSettings(dev_mode=True), {"dev"}), "dev-mode")


def test_http_config() -> None:
    judge(play_here(["http-config"], HTTP_CONFIG, {"http-config"}), "http-config")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_checks_that_the_agent_runs() -> None:
    judge(play_here([CHECK_KINDS], HttpSettings(ui_enabled=True), set()), CHECK_KINDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", sorted(SLOW))
def test_waiting(file: str) -> None:
    judge(play_here([file], HttpSettings(), set()), file)


@pytest.mark.slow
def test_no_leader() -> None:
    judge(play_here(["no-leader"], HttpSettings(), {"no-leader"}, leader=False), "no-leader")


def test_a_wrong_answer_is_told() -> None:
    """The judge itself: an answer that differs must not pass."""
    wrong = {"name": "wrong", "steps": [{"method": "GET", "path": "/v1/kv/x", "expect": {"status": 200}}]}
    with running_local_server() as address:
        assert "status: want 200, got 404" in play([f"http://{address}"], wrong)
