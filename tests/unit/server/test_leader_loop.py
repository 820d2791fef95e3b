"""What a leader goes on with when one of its duties cannot be done now."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pyconsul.clock import SystemClock
from pyconsul.errors import OverloadedError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, AutopilotConfigSet, Register
from pyconsul.raft.messages import Configuration
from pyconsul.server.config import ServerConfig
from pyconsul.server.leader_loop import LeaderLoop
from pyconsul.server.reconcile import ALIVE, MemberView
from pyconsul.state.store import Store

CLIENT = MemberView("c1", "c1-id", "10.0.0.9", "node", "dc1", ALIVE, None, (2, 1, 5))
CONFIG = ServerConfig(
    node_name="s1", node_id="s1-id", datacenter="dc1", data_dir=Path("/data"), bind_address="10.0.0.1",
    advertise_address="10.0.0.1", bootstrap_expect=1, autopilot={"MaxTrailingLogs": 7},
)  # fmt: skip


async def test_a_leader_on_a_full_disk_goes_on_and_writes_the_first_configuration_of_autopilot_later() -> None:
    machine = StateMachine(Store())
    tried: list[str] = []
    written = asyncio.Event()

    async def write(command: AnyCommand) -> object:
        tried.append(type(command).__name__)
        if tried.count("AutopilotConfigSet") < 3 and isinstance(command, AutopilotConfigSet):
            raise OverloadedError("no space left on device")
        result = machine.apply(machine.applied_index + 1, command)
        if isinstance(command, AutopilotConfigSet):
            written.set()
        return result

    raft: Any = SimpleNamespace(machine=machine, core=SimpleNamespace(configuration=Configuration(()), id="s1-id"))
    membership: Any = SimpleNamespace(leader_elected=lambda name: tried.append(name), views=lambda: [CLIENT])
    loop = LeaderLoop(CONFIG, raft, SystemClock(), logging.getLogger("test"), lambda: membership, write)
    running = asyncio.create_task(loop.run())
    try:
        await asyncio.wait_for(written.wait(), 10.0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    config = "AutopilotConfigSet"
    assert tried == [config, "s1", config, Register.__name__, config]
    stored = machine.store.autopilot_config()
    assert stored is not None
    assert stored.config["MaxTrailingLogs"] == 7
    assert machine.store.catalog.node("c1") is not None
