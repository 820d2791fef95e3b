"""``pyconsul lock``: runs a command while a lock is held."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading

from pyconsul.client.errors import ClientError
from pyconsul.client.locks import InUseError, Lock, Semaphore
from pyconsul.codec.go_flags import BOOL, DURATION, INT, STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing
from pyconsul_cli.handlers import StartError, die_with_us, ending, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

GRACE_S = 5
HANDLER_FAILED = 2
SECOND_NS = 1_000_000_000
NOT_ACQUIRED = "Shutdown triggered or timeout during lock acquisition"


class Signals:
    """SIGINT and SIGTERM: cut the wait for the lock short; later they are events like others."""

    def __init__(self, holder: Lock, events: queue.SimpleQueue[tuple[str, int]]) -> None:
        self._holder = holder
        self._events = events
        self._acquiring = True
        self._before = {number: signal.signal(number, self._on) for number in (signal.SIGINT, signal.SIGTERM)}

    def _on(self, number: int, frame: FrameType | None) -> None:
        if self._acquiring:
            self._holder.interrupt()
        self._events.put(("signal", number))

    def acquired(self) -> None:
        self._acquiring = False

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def run(context: Context) -> int:
    flags = context.flags
    limit = flags.integer("n")
    timeout_ns = flags.integer("timeout") or flags.integer("try")
    if len(context.args) < 2:
        raise CommandError("Key prefix and child command must be specified")
    if limit <= 0:
        raise CommandError("Lock holder limit must be positive")
    if timeout_ns < 0:
        raise CommandError("Timeout must be positive")
    if flags.integer("monitor-retry") < 0:
        raise CommandError("Number for 'monitor-retry' must be >= 0")
    client = context.client()
    with failing("Error querying Consul agent"):
        client.get("/v1/agent/self")
    holder = _set_up(context, limit)
    events: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    signals = Signals(holder, events)
    try:
        _say(context, "Attempting lock acquisition")
        try:
            held = holder.acquire(timeout_ns / SECOND_NS if timeout_ns else None)
        except ClientError as error:
            raise CommandError(f"Lock acquisition failed: {error}") from error
        signals.acquired()
        if not held:
            raise CommandError(NOT_ACQUIRED)
        holder.watch(lambda: events.put(("lost", 0)))
        failed = _run_child(context, events)
        _give_back(context, holder)
    finally:
        holder.end_session()
        signals.restore()
    return HANDLER_FAILED if failed and flags.boolean("child-exit-code") else 0


def _set_up(context: Context, limit: int) -> Lock:
    prefix, *words = context.args
    prefix = prefix.removeprefix("/")
    key = f"{prefix.rstrip('/')}/.lock" if prefix else ".lock"
    retries = context.flags.integer("monitor-retry")
    kind = "lock" if limit == 1 else "semaphore"
    name = context.flags.string("name") or f"Consul {kind} for '{' '.join(words)}' at '{prefix}'"
    if limit == 1:
        _say(context, f"Setting up lock at path: {key}")
        return Lock(context.client, key, name, retries)
    _say(context, f"Setting up semaphore (limit {limit}) at prefix: {prefix}")
    return Semaphore(context.client, prefix.rstrip("/"), key, name, retries, limit)


def _say(context: Context, text: str) -> None:
    if context.flags.boolean("verbose"):
        context.out(text)


def _run_child(context: Context, events: queue.SimpleQueue[tuple[str, int]]) -> bool:
    """True when the child failed or could not be started."""
    _say(context, "Starting handler")
    environ = {**context.environ, "CONSUL_LOCK_HELD": "true"}
    stdin = context.io.stdin if context.flags.boolean("pass-stdin") else subprocess.DEVNULL
    try:
        child = start(context.args[1:], context.flags.boolean("shell"), context.io, environ, stdin, die_with_us())
    except StartError as error:
        context.err(f"Error starting handler: {error}")
        return True
    threading.Thread(target=lambda: events.put(("child", child.wait())), daemon=True).start()
    event, value = events.get()
    if event == "child":
        if value:
            context.err(f"Error running handler: {ending(value)}")
        _say(context, "Child terminated, releasing lock")
        return value != 0
    if event == "signal":
        _say(context, "Shutdown triggered, killing child")
        if value != signal.SIGTERM:  # which it gets next, and once is enough
            child.send_signal(value)
    else:
        _say(context, "Lock lost, killing child")
    return _end_child(context, child)


def _end_child(context: Context, child: subprocess.Popen[bytes]) -> bool:
    _say(context, f"Terminating child pid {child.pid}")
    child.terminate()
    try:
        code = child.wait(GRACE_S)
        _say(context, "Child terminated")
    except subprocess.TimeoutExpired:
        _say(context, f"Child did not exit after grace period of {GRACE_S}s")
        _say(context, f"Killing child pid {child.pid}")
        child.kill()
        code = child.wait()
    if code:
        context.err(f"Error running handler: {ending(code)}")
    return code != 0


def _give_back(context: Context, holder: Lock) -> None:
    """Raises CommandError when the lock cannot be released."""
    try:
        holder.release()
    except ClientError as error:
        raise CommandError(f"Lock release failed: {error}") from error
    try:
        holder.clean_up()
    except InUseError:
        _say(context, "Cleanup aborted, lock in use")
    except ClientError as error:
        raise CommandError(f"Lock cleanup failed: {error}") from error
    else:
        _say(context, "Cleanup succeeded")


COMMANDS = {
    "lock": Command(
        "lock",
        run,
        usage="PREFIX COMMAND ...",
        sets="CS",
        flags=(
            Flag("child-exit-code", BOOL, "Exit with 2 when the command fails."),
            Flag("monitor-retry", INT, "Errors of the agent to bear while the lock is held.", 3, value_name="count"),
            Flag("n", INT, "How many may hold it at once.", 1, value_name="count"),
            Flag("name", STRING, "Name of the session.", value_name="name"),
            Flag("pass-stdin", BOOL, "Give the standard input to the command."),
            Flag("shell", BOOL, "Run the command by a shell.", True),
            Flag("timeout", DURATION, "Give up after this time; 0: wait without end."),
            Flag("try", DURATION, "The same, an older name."),
            Flag("verbose", BOOL, "Tell what is done."),
        ),
        about="Waits for the lock at PREFIX, runs the command, and gives the lock back. When the lock is lost, "
        "the command is ended. -shell=false runs it directly.",
        examples=("lock deploy/web ./deploy.sh", "lock -n=3 -timeout=10s jobs/convert convert.sh"),
    )
}
