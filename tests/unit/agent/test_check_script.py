"""Script checks: exit codes, output, time limits, what is left of children."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from pyconsul.agent.check_runner import CheckRunner
from pyconsul.agent.check_script import run_script
from pyconsul.agent.local_definitions import CheckDefinition, LocalCheck
from pyconsul.clock import seeded_random
from pyconsul.codec.duration import SECOND
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING, Check

LONG_S = 60.0


async def shell(text: str, timeout_s: float = LONG_S, output_bytes_max: int = 4096) -> tuple[str, str]:
    return await run_script(["/bin/sh", "-c", text], timeout_s, output_bytes_max)


@pytest.mark.parametrize(
    ("text", "status"),
    [("exit 0", PASSING), ("exit 1", WARNING), ("exit 2", CRITICAL), ("exit 255", CRITICAL), ("kill -9 $$", CRITICAL)],
)
async def test_the_exit_code_is_the_status(text: str, status: str) -> None:
    assert await shell(f"echo out; echo err >&2; {text}") == (status, "out\nerr\n")


async def test_the_end_of_a_long_output_is_shown() -> None:
    status, output = await shell("printf '%05d' 1 2 3; echo end", output_bytes_max=8)
    assert (status, output) == (PASSING, "Captured 8 of 19 bytes\n...\n0003end\n")
    status, output = await shell("yes | head -c 3000000")
    assert status == PASSING and output.startswith("Captured 4096 of 3000000 bytes\n...\n")
    assert len(output) == 4096 + len("Captured 4096 of 3000000 bytes\n...\n")


async def test_output_that_is_no_text() -> None:
    assert await shell(r"printf 'a\377b'") == (PASSING, "a�b")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["/no/such/program"], "fork/exec /no/such/program: no such file or directory"),
        (["/"], "fork/exec /: permission denied"),
        (["a\0b"], "fork/exec a\0b: embedded null byte"),
    ],
)
async def test_a_program_that_cannot_be_started_is_critical(words: list[str], why: str) -> None:
    assert await run_script(words, LONG_S, 4096) == (CRITICAL, why)


async def test_it_reads_nothing() -> None:
    assert await shell("cat") == (PASSING, "")


async def gone(pid: int) -> None:
    """Waits until the process is no more: what was killed goes at once, but not at the same moment."""
    async with asyncio.timeout(LONG_S):
        while _lives(pid):
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_when_the_time_is_over_all_of_it_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    status, output = await shell(f"sleep 1000 & echo $! $$ > {pids}; wait", timeout_s=0.5)
    assert (status, output) == (CRITICAL, "Timed out (500ms) running check")
    for pid in map(int, pids.read_text().split()):
        await gone(pid)


async def test_a_child_that_goes_on_with_the_output_is_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    status, output = await shell(f"sleep 1000 & echo $! > {pid}", timeout_s=0.5)
    assert (status, output) == (CRITICAL, "Timed out (500ms) running check")
    await gone(int(pid.read_text()))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_stays_open_however_it_ends() -> None:
    async def rounds() -> None:
        await shell("true")
        await shell("sleep 1000", timeout_s=0.1)
        await shell("setsid sleep 0.5 &", timeout_s=0.1)  # leaves the group, and keeps the output open
        await run_script(["/no/such/program"], LONG_S, 4096)

    await rounds()
    before = open_files()
    await rounds()
    assert open_files() == before


async def test_a_check_that_is_ended_kills_its_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(shell(f"echo $$ > {pid}; exec sleep 1000"))
    async with asyncio.timeout(LONG_S):
        while not pid.exists() or not pid.read_text():
            await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await gone(int(pid.read_text()))


async def test_the_runner_runs_it_at_its_interval() -> None:
    results: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def report(check_id: str, status: str, output: str) -> None:
        await results.put((check_id, status, output))

    definition = CheckDefinition(check_id="s", script_args=["/bin/sh", "-c", "echo warm; exit 1"], interval_ns=SECOND)
    runner = CheckRunner(report, seeded_random(1))
    runner.follow({"s": LocalCheck(Check("here", "s", "s", CRITICAL), definition)})
    try:
        assert await asyncio.wait_for(results.get(), LONG_S) == ("s", WARNING, "warm\n")
    finally:
        await runner.close()
