"""``pyconsul cluster up``: agents as child processes of this one, on 127.0.0.1, .2, .3 … with Consul's own ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from pyconsul.client.client import Client
from pyconsul.client.errors import ClientError
from pyconsul.client.oserrors import errno_text
from pyconsul.client.settings import Settings
from pyconsul.codec.go_flags import DURATION, INT, STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SIZE_DEFAULT, SIZE_MAX = 3, 100
PORTS = {"server RPC": 8300, "LAN gossip": 8301, "WAN gossip": 8302, "HTTP": 8500, "DNS": 8600}
POLL_S = 0.1
STOP_S = 15.0
"""How long an agent may take to stop after SIGTERM before SIGKILL."""
LAST_LINES = 15
SECOND_NS = 1_000_000_000


class Stopped(Exception):
    """Somebody asked for the end: Ctrl-C or SIGTERM."""


class StopSignal:
    """Turns the two signals into Stopped, but not while ``armed`` is off: a process that is just being made must not be
    forgotten."""

    def __init__(self) -> None:
        self.armed = False
        self.pending = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.pending = True
        if self.armed:
            raise Stopped

    def arm(self) -> None:
        """Raises Stopped when a signal came in the meantime."""
        self.armed = True
        if self.pending:
            raise Stopped


class Node:
    """One agent of the cluster."""

    def __init__(self, number: int, directory: str) -> None:
        self.name = f"node{number}"
        self.address = f"127.0.0.{number}"
        self.data_dir = os.path.join(directory, self.name)
        self.log_path = os.path.join(directory, f"{self.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORTS['HTTP']}"

    def start(self, expect: int, first: Node, datacenter: str) -> None:
        """Raises CommandError when the log file or the process cannot be made."""
        words = [
            sys.executable, "-m", "pyconsul_cli", "agent", "-server", f"-bootstrap-expect={expect}",
            f"-node={self.name}", f"-data-dir={self.data_dir}", f"-bind={self.address}", f"-client={self.address}",
            f"-datacenter={datacenter}", "-ui",
        ]  # fmt: skip
        if first is not self:
            words += [f"-retry-join={first.address}", "-retry-interval=1s"]
        try:
            with open(self.log_path, "wb") as log:
                # A session of its own: Ctrl-C at the terminal reaches this program only, which then ends the agents.
                self.process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise CommandError(f"Error starting {self.name}: {error}") from error

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def last_lines(self) -> str:
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()[-LAST_LINES:]
        return "\n".join(f"    {line}" for line in lines) if lines else "    (the log is empty)"


def run(context: Context) -> int:
    size = context.flags.integer("n")
    if not 1 <= size <= SIZE_MAX:
        raise CommandError(f"-n must be from 1 to {SIZE_MAX}, not {size}")
    context.no_arguments()
    directory = os.path.abspath(context.flags.string("dir"))
    nodes = [Node(number, directory) for number in range(1, size + 1)]
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandError(f"Error creating {directory}: {errno_text(error)}") from error
    for node in nodes:
        _check_ports(node)
    stop = StopSignal()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run_cluster(context, nodes, stop)
    except Stopped:
        return 0
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        _end_all(context, nodes)
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_ports(node: Node) -> None:
    import socket

    for purpose, port in PORTS.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((node.address, port))
            except OSError as error:
                reason = f"{node.address}:{port} ({purpose}) cannot be used: {errno_text(error)}"
                advice = "Stop what listens there (another agent or cluster?) and try again."
                raise CommandError(f"Error starting {node.name}: {reason}. {advice}") from error


def _run_cluster(context: Context, nodes: list[Node], stop: StopSignal) -> int:
    first = nodes[0]
    context.out(f"==> Starting {len(nodes)} {'agent' if len(nodes) == 1 else 'agents'}")
    for node in nodes:
        node.start(len(nodes), first, context.flags.string("datacenter"))
        context.out(f"    {node.name}: {node.address}, data in {node.data_dir}, log in {node.log_path}")
    stop.arm()
    deadline = time.monotonic() + context.flags.integer("timeout") / SECOND_NS
    _wait(context, nodes, "a leader", deadline, lambda: all(_leader(node) for node in nodes))
    _wait(context, nodes, "all members", deadline, lambda: all(_alive(node) >= len(nodes) for node in nodes))
    _say_hello(context, nodes)
    while True:
        for node in nodes:
            if node.ended:
                context.err(f"==> {node.name} has ended; the others go on. Its last log lines:\n{node.last_lines()}")
                nodes.remove(node)
                break
        if not nodes:
            raise CommandError("==> No agent is left")
        time.sleep(POLL_S)


def _leader(node: Node) -> bool:
    client = Client(Settings(node.url))
    try:
        return client.get("/v1/status/leader").json() not in ("", None)
    except ClientError:
        return False
    finally:
        client.close()


def _alive(node: Node) -> int:
    client = Client(Settings(node.url))
    try:
        return sum(1 for member in client.get("/v1/agent/members").json_objects() if member.get("Status") == 1)
    except ClientError:
        return 0
    finally:
        client.close()


def _wait(context: Context, nodes: list[Node], what: str, deadline: float, done: Callable[[], bool]) -> None:
    """Raises CommandError when an agent ends or the time is up."""
    show = sys.stdout.isatty()
    began = time.monotonic()
    if not show:
        context.out(f"==> Waiting for {what}")
    while not done():
        for node in nodes:
            if node.ended and node.process is not None:
                code = node.process.returncode
                raise CommandError(
                    f"==> {node.name} has ended with exit code {code}. Its last log lines ({node.log_path}):\n"
                    f"{node.last_lines()}"
                )
        if time.monotonic() > deadline:
            raise CommandError(
                f"==> Still no sign of {what}. Last log lines of {nodes[0].name} ({nodes[0].log_path}):\n"
                f"{nodes[0].last_lines()}"
            )
        if show:
            context.io.stdout.write(f"\r==> Waiting for {what} … {time.monotonic() - began:.0f} s".encode())
            context.io.stdout.flush()
        time.sleep(POLL_S)
    if show:
        context.io.stdout.write(b"\r\x1b[K")


def _say_hello(context: Context, nodes: list[Node]) -> None:
    from pyconsul_cli.main import main

    context.out(f"==> The cluster is up. $ pyconsul members -http-addr={nodes[0].address}:{PORTS['HTTP']}")
    main(["members", f"-http-addr={nodes[0].address}:{PORTS['HTTP']}"], context.io, {})
    context.out("")
    for node in nodes:
        context.out(f"    UI of {node.name}: {node.url}/ui/")
    context.out("==> Ctrl-C stops all agents; their data stays")


def _end_all(context: Context, nodes: list[Node]) -> None:
    processes = [(node, node.process) for node in nodes if node.process is not None]
    running = [(node, process) for node, process in processes if process.poll() is None]
    if running:
        context.out(f"\n==> Stopping {len(running)} {'agent' if len(running) == 1 else 'agents'}")
    for _, process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for node, process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            context.err(f"==> {node.name} did not stop within {STOP_S:.0f} s and was killed")
            process.kill()
            process.wait()


COMMANDS = {
    "cluster up": Command(
        "cluster up",
        run,
        flags=(
            Flag("n", INT, "How many servers.", SIZE_DEFAULT, value_name="count"),
            Flag("dir", STRING, "Where data and logs go.", "pyconsul-cluster", value_name="dir"),
            Flag("datacenter", STRING, "Name of the datacenter.", "dc1", value_name="dc"),
            Flag("timeout", DURATION, "How long to wait for a leader.", 60 * SECOND_NS),
        ),
        about="Starts servers on 127.0.0.1, 127.0.0.2, 127.0.0.3 … with the usual ports, makes them one cluster and "
        "keeps them running until Ctrl-C. Data stays in the directory; started again, the cluster goes on with it.",
        examples=("cluster up", "cluster up -n 5 -dir /tmp/five"),
    )
}
