"""The sizes and pauses that are promised for 1,000,000 keys of 100 bytes (docs/design/state.md)."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest

from pyconsul.fsm import commands as c
from pyconsul.fsm.apply import StateMachine
from pyconsul.state.store import Store

KEYS = 1_000_000
PAUSE_MS_MAX = 50
MEMORY_MB_MAX = 600


def filled(keys: int) -> StateMachine:
    machine = StateMachine(Store())
    for n in range(keys):
        machine.apply(n + 1, c.KVSet(b"app/config/%08d" % (n * 7919 % keys), b"%0100d" % n))
    return machine


def longest_ms(step: Callable[[], Any]) -> float:
    """The longest of all calls until ``step`` returns None."""
    longest = 0.0
    while True:
        start = perf_counter()
        if step() is None:
            return longest
        longest = max(longest, (perf_counter() - start) * 1000)


@pytest.mark.slow
def test_a_snapshot_makes_nobody_wait() -> None:
    machine = filled(KEYS)
    gc.collect()
    start = perf_counter()
    chunks = machine.snapshot()
    taken_ms = (perf_counter() - start) * 1000
    size = 0

    def step() -> bytes | None:
        nonlocal size
        chunk = next(chunks, None)
        size += len(chunk or b"")
        return chunk

    longest = longest_ms(step)
    assert size > KEYS * 100
    assert max(taken_ms, longest) < PAUSE_MS_MAX


@pytest.mark.slow
def test_memory() -> None:
    """In a process of its own: the peak counts, and includes the interpreter."""
    code = f"import runpy; runpy.run_path({__file__!r}, run_name='memory')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MEMORY_MB_MAX


def report_memory() -> None:
    machine = filled(KEYS)
    assert len(machine.store.kv) == KEYS
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "memory":
    report_memory()
