"""Real agents under the names of the recordings, on addresses of the same length, so that columns are as wide."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from cli_recordings import Recording, difference
from cli_runner import run_line

from pyconsul.clock import system_random
from pyconsul.testing.processes import AddressBlock, AgentProcess, wait_for

RECORDED = re.compile(r"127\.0\.0\.(\d\d)\b")
NOBODY = "59"
"""On this address nothing listens, neither there nor here."""
PROCESS_DEADLINE_S = 120.0


class ShortBlock(AddressBlock):
    """A block 127.A.B.0/24 with A and B of one digit."""

    def __init__(self) -> None:
        numbers = [(a, b) for a in range(2, 10) for b in range(1, 10)]
        system_random().shuffle(numbers)
        for a, b in numbers:
            self.prefix = f"127.{a}.{b}"
            self._held = socket.socket()
            try:
                self._held.bind((self.address(1), 8299))
                return
            except OSError:
                self._held.close()
        raise OSError("no free block of short loopback addresses found")


class Stage:
    """Agents, and the count of recordings that hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.block = ShortBlock()
        self.agents: dict[str, AgentProcess] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def agent(self, name: str, number: int, *arguments: str, server: bool = True) -> AgentProcess:
        """Not started yet."""
        agent = AgentProcess(name, self.block.address(number), self.folder, [])
        agent.arguments = ["-data-dir", str(agent.data_dir), "-node", name, "-bind", agent.address]
        agent.arguments += ["-client", agent.address, *(["-server"] if server else []), *arguments]
        self.agents[name] = agent
        return agent

    def close(self) -> None:
        for agent in self.agents.values():
            agent.close()
            agent.show_log()
        self.block.release()

    def here(self, text: str) -> str:
        return RECORDED.sub(lambda found: f"{self.block.prefix}.{found[1]}" if found[1] != NOBODY else found[0], text)

    def there(self, text: str) -> str:
        return text.replace(f"{self.block.prefix}.", "127.0.0.")

    def _run(self, recording: Recording) -> tuple[int, str, str]:
        environ = {name: self.here(value) for name, value in recording.env.items()}
        code, out, err = run_line([self.here(word) for word in recording.argv], recording.stdin, environ)
        return code, self.there(out), self.there(err)

    def play(
        self, recording: Recording, exceptions: dict[str, str], masked: Callable[[str], str], patience_s: float = 0
    ) -> None:
        """``patience_s``: what only looks may be asked again until it shows what was recorded."""
        expected = _masked(recording, masked)
        last = ""

        def differs_not() -> bool:
            nonlocal last
            code, out, err = self._run(recording)
            last = difference(expected, code, masked(out), masked(err))
            return not last

        if patience_s and recording.title not in exceptions:
            with contextlib.suppress(AssertionError):  # ``judge`` tells what differs
                wait_for(recording.title, differs_not, patience_s)
        else:
            differs_not()
        self.judge(recording, exceptions, last)

    def judge(self, recording: Recording, exceptions: dict[str, str], found: str) -> None:
        if not found:
            self.counts["hold"] += 1
        elif recording.title in exceptions:
            self.counts["excepted"] += 1
        else:
            self.wrong.append(f"{recording.title}: {recording.argv}: {found}")
            print(f"wrong: {self.wrong[-1][:4000]}", flush=True)

    def play_process(
        self,
        recording: Recording,
        exceptions: dict[str, str],
        masked: Callable[[str], str],
        meanwhile: Callable[[subprocess.Popen[bytes]], None],
    ) -> None:
        """In a process of its own, which ``meanwhile`` may signal."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
        environ |= {name: self.here(value) for name, value in recording.env.items()}
        command = [sys.executable, "-m", "pyconsul_cli", *(self.here(word) for word in recording.argv)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            try:
                meanwhile(process)
                code = process.wait(PROCESS_DEADLINE_S)
            finally:
                process.kill()
                process.wait()
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(masked(self.there(stream.read().decode("utf-8", "backslashreplace"))))
        self.judge(recording, exceptions, difference(_masked(recording, masked), code, *texts))

    def report(self, what: str) -> None:
        print(f"\ncommand line recordings with {what}: {dict(self.counts)}, {len(self.wrong)} wrong")
        assert not self.wrong, "\n".join(self.wrong)


def _masked(recording: Recording, masked: Callable[[str], str]) -> Recording:
    fields = {name: getattr(recording, name) for name in Recording.__struct_fields__}
    fields |= {"stdout": masked(recording.stdout), "stderr": masked(recording.stderr)}
    return Recording(**fields)


def sorted_lines(text: str) -> str:
    """For listings whose order varies; the header stays."""
    head, *rest = text.splitlines(keepends=True) or [""]
    return head + "".join(sorted(rest))


def signal_after(seconds: float, number: signal.Signals) -> Callable[[subprocess.Popen[bytes]], None]:
    def meanwhile(process: subprocess.Popen[bytes]) -> None:
        threading.Event().wait(seconds)
        process.send_signal(number)

    return meanwhile


def in_group(recordings: Sequence[Recording], *groups: str) -> list[Recording]:
    return [recording for recording in recordings if recording.group in groups]
