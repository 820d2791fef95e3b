"""Three hosts in one machine: network namespaces with the tutorial's addresses, joined by a bridge.

The bridge lives in a namespace of its own, so that nothing of the machine's own network is touched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

ADDRESSES = ("192.168.10.80", "192.168.10.81", "192.168.10.82")
RUNS = count(1)


def run_ip(*arguments: str) -> str:
    """``ip ARGUMENTS``. Raises OSError with what it said when it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def reason_against() -> str | None:
    """Why namespaces cannot be used here; None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = f"pycprobe{os.getpid()}"
    try:
        run_ip("netns", "add", probe)
        run_ip("-n", probe, "link", "add", "probe", "type", "bridge")
        run_ip("netns", "exec", probe, "true")
    except (OSError, subprocess.SubprocessError) as error:
        return f"network namespaces are not allowed here: {error}"
    finally:
        with suppress(OSError, subprocess.SubprocessError):
            run_ip("netns", "del", probe)
    return None


def in_namespace(name: str) -> Sequence[str]:
    """What stands before a command so that it runs on that host."""
    return ("ip", "netns", "exec", name)


@contextmanager
def three_hosts() -> Iterator[list[str]]:
    """Names of three namespaces with ADDRESSES. They are removed at the end, whatever happened."""
    run = f"{os.getpid()}x{next(RUNS)}"
    switch = f"pyc{run}sw"
    hosts = [f"pyc{run}h{number}" for number in (1, 2, 3)]
    try:
        run_ip("netns", "add", switch)
        run_ip("-n", switch, "link", "add", "br0", "type", "bridge")
        run_ip("-n", switch, "link", "set", "br0", "up")
        for number, (host, address) in enumerate(zip(hosts, ADDRESSES, strict=True), 1):
            run_ip("netns", "add", host)
            run_ip("-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "ens33", "netns", host)
            run_ip("-n", switch, "link", "set", f"port{number}", "master", "br0", "up")
            run_ip("-n", host, "address", "add", f"{address}/24", "dev", "ens33")
            run_ip("-n", host, "link", "set", "lo", "up")
            run_ip("-n", host, "link", "set", "ens33", "up")
        yield hosts
    finally:
        for name in [*hosts, switch]:
            with suppress(OSError, subprocess.SubprocessError):
                run_ip("netns", "del", name)
