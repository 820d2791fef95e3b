"""``/v1/agent/host`` and ``/v1/agent/metrics``: what this host and this process look like at the moment.

The figures come from the operating system and the agent itself when they are asked for; nothing is collected over time,
so there are gauges and no counters or samples. What a platform does not tell is left out.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response, text_response
from pyconsul.version import CONSUL_API_VERSION

KIBIBYTE = 1024
NANOSECONDS = 1_000_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ALIVE = 1
INTERVAL_SECONDS = 10
PROMETHEUS_OFF = "Prometheus is not enabled since its retention time is not positive"
_OPENMETRICS, _PROMETHEUS_TEXT = "application/openmetrics-text", "text/plain;version=0.4.0"
RAFT_GAUGES = {"applied_index": "raft.applied_index", "last_log_index": "raft.last_index", "num_peers": "raft.peers"}
"""Names in ``agent/self`` and as gauges."""


# The host


def host(api: Api, request: Request) -> Response:
    """Memory and sizes in bytes, times in seconds, CollectionTime in nanoseconds since 1970."""
    now_s = api.clock.wall()
    return json_response(
        {
            "Memory": _memory(),
            "CPU": _processors(),
            "Host": _host(now_s),
            "Disk": _disk("/"),
            "CollectionTime": int(now_s * NANOSECONDS),
            "Errors": None,
        }
    )


def _memory() -> dict[str, Any]:
    sizes = {}
    for line in _lines("/proc/meminfo"):
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            sizes[name] = int(words[0]) * (KIBIBYTE if words[1:] == ["kB"] else 1)
    total, available = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    used = total - available
    return {
        "total": total,
        "available": available,
        "used": used,
        "usedPercent": 100 * used / total if total else 0.0,
        "free": sizes.get("MemFree", 0),
        "buffers": sizes.get("Buffers", 0),
        "cached": sizes.get("Cached", 0),
        "swapTotal": sizes.get("SwapTotal", 0),
        "swapFree": sizes.get("SwapFree", 0),
    }


def _processors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in _lines("/proc/cpuinfo"):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "processor" and value.isdigit():
            found.append({"cpu": int(value), "cores": 1})
        elif found and name == "model name":
            found[-1]["modelName"] = value
        elif found and name == "vendor_id":
            found[-1]["vendorId"] = value
        elif found and name == "cpu MHz":
            found[-1]["mhz"] = float(value)
    return found


def _host(now_s: float) -> dict[str, Any]:
    uname = os.uname()
    facts: dict[str, Any] = {
        "hostname": uname.nodename,
        "os": sys.platform,
        "platform": platform.system().lower(),
        "kernelVersion": uname.release,
        "kernelArch": uname.machine,
    }
    uptime = next(_lines("/proc/uptime"), "").split()
    if uptime:
        facts["uptime"] = int(float(uptime[0]))
        facts["bootTime"] = int(now_s) - facts["uptime"]
    return facts


def _disk(path: str) -> dict[str, Any]:
    found = os.statvfs(path)
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    return {
        "path": path,
        "total": total,
        "free": free,
        "used": used,
        "usedPercent": 100 * used / (used + free) if used + free else 0.0,
        "inodesTotal": found.f_files,
        "inodesFree": found.f_ffree,
        "inodesUsed": found.f_files - found.f_ffree,
    }


def _lines(path: str) -> Iterator[str]:
    try:
        yield from Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return  # not this kind of system


# Metrics


def metrics(api: Api, request: Request) -> Response:
    """Gauges of this moment in Consul's names. 415 for Prometheus' format, which needs figures over time."""
    accepted = request.header(b"accept").replace(" ", "")
    if request.query.get("format") == "prometheus" or accepted.startswith((_OPENMETRICS, _PROMETHEUS_TEXT)):
        return text_response(415, PROMETHEUS_OFF)
    values: dict[str, float] = {**_process_gauges(), **_agent_gauges(api)}
    gauges: list[dict[str, Any]] = [
        {"Name": f"consul.{name}", "Value": value, "Labels": {}} for name, value in values.items()
    ]
    for kind, count in _member_counts(api).items():
        labels = {"datacenter": api.backend.datacenter}
        gauges.append({"Name": f"consul.consul.members.{kind}", "Value": count, "Labels": labels})
    gauges.append({"Name": "consul.version", "Value": 1, "Labels": {"version": CONSUL_API_VERSION}})
    gauges.sort(key=_name)
    second = int(api.clock.wall())
    return json_response(
        {
            "Timestamp": _stamp(second - second % INTERVAL_SECONDS),
            "Gauges": gauges,
            "Points": [],
            "Counters": [],
            "Samples": [],
        }
    )


def _name(gauge: dict[str, Any]) -> str:
    return str(gauge["Name"])


def _stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))


def _process_gauges() -> dict[str, float]:
    fields = next(_lines("/proc/self/statm"), "").split()
    runs = sum(generation["collections"] for generation in gc.get_stats())
    return {
        **({"runtime.alloc_bytes": int(fields[1]) * PAGE_BYTES} if len(fields) > 1 else {}),
        "runtime.sys_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE,
        "runtime.num_goroutines": threading.active_count(),
        "runtime.total_gc_runs": runs,
    }


def _agent_gauges(api: Api) -> dict[str, float]:
    raft = api.backend.agent.self_info().get("Stats", {}).get("raft", {})
    return {gauge: int(raft[name]) for name, gauge in RAFT_GAUGES.items() if name in raft}


def _member_counts(api: Api) -> dict[str, int]:
    alive = [member for member in api.backend.agent.members(False) if member.status == ALIVE]
    servers = sum(1 for member in alive if member.tags.get("role") == "consul")
    return {"servers": servers, "clients": len(alive) - servers}
