"""What ``agent/self`` and ``info`` tell of this agent: texts by group and name."""

from __future__ import annotations

import os
import platform
import sys
import threading

from pyconsul.agent.local_state import LocalState
from pyconsul.codec.duration import format_duration
from pyconsul.raft.core import Role
from pyconsul.server.node import ConsensusServer, shown
from pyconsul.version import CONSUL_API_VERSION

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
_STATES = {Role.LEADER: "Leader", Role.CANDIDATE: "Candidate", Role.PRECANDIDATE: "Candidate"}

Stats = dict[str, dict[str, str]]


def raft_stats(server: ConsensusServer, now: float) -> dict[str, str]:
    """The ``raft`` group. ``now``: monotonic seconds."""
    raft = server.raft
    core = raft.core
    if core.role is Role.LEADER:
        last_contact = "0"
    elif raft.heard_from_leader:
        last_contact = format_duration(int((now - raft.last_contact) * 1e9))
    else:
        last_contact = "never"
    others = sum(1 for each in core.configuration.servers if each.voter and each.id != core.id)
    return {
        "applied_index": str(core.applied_index),
        "commit_index": str(core.commit_index),
        "fsm_pending": str(core.commit_index - core.applied_index),
        "last_contact": last_contact,
        "last_log_index": str(core.last_index),
        "last_log_term": str(core.last_term),
        "last_snapshot_index": str(server.snapshots.last_index),
        "last_snapshot_term": str(server.snapshots.last_term),
        "latest_configuration": shown(core.configuration),
        "latest_configuration_index": str(core.configuration_index),
        "num_peers": str(others),
        "protocol_version": "3",
        "protocol_version_max": "3",
        "protocol_version_min": "0",
        "snapshot_version_max": "1",
        "snapshot_version_min": "0",
        "state": _STATES.get(core.role, "Follower"),
        "term": str(core.term),
    }


def runtime_stats() -> dict[str, str]:
    """The ``runtime`` group; ``goroutines`` counts what comes closest to them here, threads."""
    machine = platform.machine()
    return {
        "arch": _ARCHITECTURES.get(machine, machine),
        "cpu_count": str(os.cpu_count() or 1),
        "goroutines": str(threading.active_count()),
        "max_procs": str(os.cpu_count() or 1),
        "os": sys.platform,
        "version": f"python{platform.python_version()}",
    }


def local_stats(state: LocalState) -> dict[str, str]:
    """The ``agent`` group."""
    kinds = [check.definition.kind for check in state.checks.values()]
    return {
        "check_monitors": str(kinds.count("script")),
        "check_ttls": str(kinds.count("ttl")),
        "checks": str(len(state.checks)),
        "services": str(len(state.services)),
    }


def build_stats() -> dict[str, str]:
    return {"prerelease": "", "revision": "", "version": CONSUL_API_VERSION}
