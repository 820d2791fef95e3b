"""Plays the conversations recorded from Consul 1.10.7 (compat/recordings) against the HTTP API.

By default in this process, over a store in memory: every scenario that one server can show. Those that wait for TTLs
and lock-delays are marked slow. Whole agents and clusters are asked with ``compat/conform.py`` itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvloop

from pyconsul.api.limits import HttpSettings
from pyconsul.clock import SystemClock
from pyconsul.errors import NoLeaderError
from pyconsul.fsm.commands import AnyCommand
from pyconsul.records.session import Session
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.testing.local_backend import LocalBackend, LocalConsensus, local_server

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings" / "kv"
AGENT_RECORDINGS = HERE / "recordings" / "agent"
PARALLEL = 32

NOT_ONE_SERVER = {"cluster", "lost-quorum", "no-leader"}
SPECIAL = {"dev-mode", "http-config"}
SLOW = {"lock-delay-slow", "session-ttl-slow"}
PLAIN = sorted(file.stem for file in RECORDINGS.glob("*.json") if file.stem not in NOT_ONE_SERVER | SPECIAL | SLOW)

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

NO_FILTER = "filter expressions are not there yet"
ONLY_TTL = "only TTL checks are run; others are refused"
MISSING = {
    "check_register_interval_and_timeout_are_shown": ONLY_TTL,
    "ttl_unknown_check": ONLY_TTL,
    "service_register_check_spellings": ONLY_TTL,
    "agent_services_empty_filter_result": NO_FILTER,
    "service_register_check_ids": NO_FILTER,
    "service_register_empty_check_is_none": NO_FILTER,
    "service_register_proxy": "catalog/connect is not there yet",
    "service_register_sidecar": "sidecars are not registered with their service",
}
"""Scenarios that do not hold, with the reason."""

HTTP_CONFIG = HttpSettings(
    block_endpoints=["/v1/event", "/v1/kv/sec"],
    response_headers={"Access-Control-Allow-Origin": "*", "x-lower": "1"},
    kv_max_value_size=100,
    txn_max_req_len=300,
    disable_http_unprintable_char_filter=True,
)


def _conform() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conform", HERE / "conform.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conform"] = module
    spec.loader.exec_module(module)
    return module


conform = _conform()


class NoLeader(LocalConsensus):
    """A server that waits for others: what needs a leader fails when the hold time is over."""

    HOLD_S = 7.1

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        return None

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


class LocalServer:
    """The API in a thread of its own, so that the blocking replay can talk to it."""

    def __init__(self, settings: HttpSettings, leader: bool = True) -> None:
        self._settings = settings
        self._leader = leader
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"
        return f"http://127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        backend = LocalBackend()
        if not self._leader:
            backend.consensus = NoLeader(SystemClock(), backend.node_name, backend.node_id, "127.0.0.1:8300")
        server = await local_server(self._settings, backend)
        backend.local.start()
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        [(_, self._port)] = await server.start(["127.0.0.1"], 0)
        self._ready.set()
        await self._stop.wait()
        await server.close(grace_s=1)
        await backend.local.stop()


def scenarios_of(name: str, tags: set[str]) -> list[dict[str, Any]]:
    """The scenarios of a file that one server with this set-up can show."""
    folder = AGENT_RECORDINGS if name.startswith("agent-") else RECORDINGS
    found = json.loads((folder / f"{name}.json").read_text())
    return [one for one in found if one.get("cluster", 1) == 1 and set(one.get("needs", [])) <= tags]


def play(node: str, scenario: dict[str, Any]) -> str:
    """What differs; "" when it holds."""
    run = conform.Run(scenario, [node], False)
    try:
        run.play()
    except conform.Mismatch as why:
        return str(why)
    finally:
        run.pool.shutdown()
        for connection in run.kept.values():
            connection.close()
    return ""


def play_all(
    names: list[str], settings: HttpSettings, tags: set[str], leader: bool = True
) -> dict[tuple[str, str], str]:
    """What differs, by file and scenario; scenarios that share state with others come last, one by one."""
    chosen = [(name, scenario) for name in names for scenario in scenarios_of(name, tags)]
    parallel = [item for item in chosen if not item[1].get("serial")]
    results: dict[tuple[str, str], str] = {}
    with LocalServer(settings, leader) as node, concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for item, why in zip(parallel, pool.map(lambda one: play(node, one[1]), parallel), strict=True):
            results[item[0], item[1]["name"]] = why
        for name, scenario in chosen:
            if scenario.get("serial"):
                results[name, scenario["name"]] = play(node, scenario)
    return results


def judge(results: dict[tuple[str, str], str], file: str) -> None:
    """Fails unless exactly the scenarios of MISSING differ."""
    mine = {scenario: why for (name, scenario), why in results.items() if name == file}
    assert mine, f"nothing was played of {file}"
    held = [scenario for scenario, why in mine.items() if not why]
    print(f"{file}: {len(held)} of {len(mine)} scenarios hold")
    differing = {scenario: why for scenario, why in mine.items() if why and scenario not in MISSING}
    assert not differing, "\n".join(f"{scenario}: {why}" for scenario, why in differing.items())
    unexpected = [scenario for scenario in held if scenario in MISSING]
    assert not unexpected, f"these hold now, take them out of MISSING: {unexpected}"


@pytest.fixture(scope="module")
def plain() -> Iterator[dict[tuple[str, str], str]]:
    results = play_all(PLAIN, HttpSettings(), {"plain"})
    held = sum(not why for why in results.values())
    print(f"{held} of {len(results)} scenarios hold on one server")
    yield results


@pytest.mark.parametrize("file", PLAIN)
def test_one_server(plain: dict[tuple[str, str], str], file: str) -> None:
    judge(plain, file)


@pytest.fixture(scope="module")
def agent() -> Iterator[dict[tuple[str, str], str]]:
    results = play_all(AGENT, HttpSettings(ui_enabled=True), set())
    held = sum(not why for why in results.values())
    print(f"{held} of {len(results)} scenarios of the agent's services and checks hold")
    yield results


@pytest.mark.parametrize("file", AGENT)
def test_services_and_checks_of_the_agent(agent: dict[tuple[str, str], str], file: str) -> None:
    judge(agent, file)


def test_dev_mode() -> None:
    judge(play_all(["dev-mode"], HttpSettings(dev_mode=True), {"dev"}), "dev-mode")


def test_http_config() -> None:
    judge(play_all(["http-config"], HTTP_CONFIG, {"http-config"}), "http-config")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", sorted(SLOW))
def test_waiting(file: str) -> None:
    judge(play_all([file], HttpSettings(), set()), file)


@pytest.mark.slow
def test_no_leader() -> None:
    judge(play_all(["no-leader"], HttpSettings(), {"no-leader"}, leader=False), "no-leader")


def test_a_wrong_answer_is_told() -> None:
    """The judge itself: an answer that differs must not pass."""
    wrong = {"name": "wrong", "steps": [{"method": "GET", "path": "/v1/kv/x", "expect": {"status": 200}}]}
    with LocalServer(HttpSettings()) as node:
        assert "status: want 200, got 404" in play(node, wrong)
