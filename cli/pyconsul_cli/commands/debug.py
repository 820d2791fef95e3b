"""``pyconsul debug`` and ``pyconsul debug wal``."""

from __future__ import annotations

import os
import time

from pyconsul.client.errors import ClientError
from pyconsul.codec.duration import format_duration
from pyconsul.codec.go_flags import BOOL, DURATION, STRING, STRINGS, Flag
from pyconsul_cli.command import Command, CommandError, Context, to_bytes
from pyconsul_cli.output import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyconsul.client.client import Client

SECOND_NS = 1_000_000_000
DURATION_MIN_NS = 10 * SECOND_NS
INTERVAL_MIN_NS = 5 * SECOND_NS

STATIC_PATHS = {"agent": "/v1/agent/self", "host": "/v1/agent/host", "cluster": "/v1/agent/members"}
"""Captured once."""
PROFILES = {"heap.prof": "/debug/pprof/heap", "goroutine.prof": "/debug/pprof/goroutine"}
TARGETS = ("metrics", "logs", "pprof", "host", "agent", "cluster")
DEFAULT_TARGETS = [target for target in TARGETS if target != "pprof"]
"""Agents of pyconsul serve no profiles; Consul's do with ``enable_debug``."""


def run(context: Context) -> int:
    flags = context.flags
    if context.args:
        raise CommandError("==> debug: Too many arguments provided, expected 0")
    duration_ns, interval_ns = flags.integer("duration"), flags.integer("interval")
    targets = flags.strings("capture") or DEFAULT_TARGETS
    output = flags.string("output") or f"consul-debug-{int(time.time())}"
    client = context.client()
    version = _check(client, duration_ns, interval_ns, targets, output)
    archive = flags.boolean("archive")
    shown = f"{output}.tar.gz" if archive else output
    lines = (
        ("Agent Version", version),
        ("Interval", format_duration(interval_ns)),
        ("Duration", format_duration(duration_ns)),
        ("Output", shown),
        ("Capture", ", ".join(targets)),
    )
    context.out("==> Starting debugger and capturing static information...")
    for label, value in lines:
        context.out(f"{label:>18}: '{value}'")
    for target in targets:
        if target in STATIC_PATHS:
            _capture(context, client, STATIC_PATHS[target], os.path.join(output, f"{target}.json"))
    if any(target not in STATIC_PATHS for target in targets):
        _capture_intervals(context, client, targets, output, duration_ns / SECOND_NS, interval_ns / SECOND_NS)
    index = {
        "Version": "1",
        "AgentVersion": version,
        "Interval": format_duration(interval_ns),
        "Duration": format_duration(duration_ns),
        "Targets": targets,
    }
    _write(os.path.join(output, "index.json"), to_bytes(to_json(index, indent="\t")))
    if archive:
        _archive(output, shown)
    context.out(f"    Saved debug archive: {shown}")
    return 0


def _check(client: Client, duration_ns: int, interval_ns: int, targets: list[str], output: str) -> str:
    """The agent's version; makes the output directory. Raises CommandError."""

    def refuse(reason: str) -> CommandError:
        return CommandError(f"==> Capture validation failed: {reason}")

    if duration_ns < DURATION_MIN_NS:
        raise refuse(f"duration must be longer than {format_duration(DURATION_MIN_NS)}")
    if interval_ns < INTERVAL_MIN_NS:
        # Consul names the limit of the duration here.
        raise refuse(f"interval must be longer than {format_duration(DURATION_MIN_NS)}")
    if duration_ns < interval_ns:
        texts = format_duration(duration_ns), format_duration(interval_ns)
        raise refuse(f"duration ({texts[0]}) must be longer than interval ({texts[1]})")
    try:
        config = client.get("/v1/agent/self").json_object().get("Config") or {}
    except ClientError as error:
        reason = f"error querying target agent: {error}. verify connectivity and agent address"
        raise refuse(reason) from error
    for target in targets:
        if target not in TARGETS:
            raise refuse(f"target not found: {target}")
    if os.path.exists(output):
        raise refuse(f"output directory already exists: {output}")
    try:
        os.makedirs(output, mode=0o755)
    except OSError as error:
        raise refuse(f"could not create output directory: {error}") from error
    return str(config.get("Version", ""))


def _capture_intervals(
    context: Context, client: Client, targets: list[str], output: str, duration_s: float, interval_s: float
) -> None:
    end = time.monotonic() + duration_s
    number = 0
    while time.monotonic() < end:
        began = time.monotonic()
        folder = os.path.join(output, str(int(time.time())))
        os.makedirs(folder, exist_ok=True)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime())
        context.out(f"==> Beginning capture interval {stamp} ({number})")
        if "metrics" in targets:
            _capture(context, client, "/v1/agent/metrics", os.path.join(folder, "metrics.json"))
        if "pprof" in targets:
            for name, path in PROFILES.items():
                _capture(context, client, path, os.path.join(folder, name))
        left_s = max(0.0, min(began + interval_s, end) - time.monotonic())
        if "logs" in targets:
            _capture_log(context, os.path.join(folder, "consul.log"), left_s)
        else:
            time.sleep(left_s)
        number += 1


def _capture(context: Context, client: Client, path: str, file: str) -> None:
    """An error is shown and is no reason to stop: what can be had is wanted."""
    try:
        answer = client.get(path)
        body = answer.body
        if file.endswith(".json"):
            body = to_bytes(to_json(answer.json(), indent="\t"))
        _write(file, body)
    except ClientError as error:
        context.err(f"==> Error encountered during collection: {error}")


def _capture_log(context: Context, file: str, seconds: float) -> None:
    import threading

    client = context.client()
    timer = threading.Timer(seconds, client.abort)
    timer.start()
    deadline = time.monotonic() + seconds
    try:
        with open(file, "wb") as log:
            for piece in client.stream("GET", "/v1/agent/monitor", [("loglevel", "DEBUG")]):
                log.write(piece)
    except ClientError as error:
        if time.monotonic() < deadline:
            context.err(f"==> Error encountered during collection: {error}")
            time.sleep(max(0.0, deadline - time.monotonic()))
    finally:
        timer.cancel()


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _archive(folder: str, path: str) -> None:
    import shutil
    import tarfile

    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=os.path.basename(folder))
    shutil.rmtree(folder)


def wal(context: Context) -> int:
    if len(context.args) != 1:
        raise CommandError("One data directory, or the directory 'raft' in it, must be specified", with_help=True)
    folder = context.args[0]
    inner = os.path.join(folder, "raft")
    if os.path.isdir(inner):
        folder = inner
    if not os.path.isdir(folder):
        raise CommandError(f"Error reading {folder}: no such directory")
    from pyconsul_cli.wal_text import print_log

    return print_log(context, folder)


COMMANDS = {
    "debug": Command(
        "debug",
        run,
        sets="C",
        flags=(
            Flag("archive", BOOL, "Make one file of all.", True),
            Flag(
                "capture",
                STRINGS,
                "What to capture; may be repeated (default all but pprof: only Consul's agents serve profiles).",
                value_name="what",
                choices=TARGETS,
            ),
            Flag("duration", DURATION, "How long to capture metrics, logs and profiles.", 120 * SECOND_NS),
            Flag("interval", DURATION, "How often.", 30 * SECOND_NS),
            Flag("output", STRING, "The file, less .tar.gz (default consul-debug-TIME).", value_name="path"),
        ),
        repeat="==> Error parsing flags: {}",
        about="Collects facts about an agent into an archive, for those who look for the cause of a problem. What to "
        "capture: metrics, logs, pprof, host, agent, cluster.",
        examples=("debug -duration=1m -output=case42", "debug wal /var/lib/pyconsul"),
    ),
    "debug wal": Command(
        "debug wal",
        wal,
        usage="DATA_DIR",
        flags=(Flag("records", BOOL, "Show every record, not only the files and what is wrong."),),
        about="Shows what the replicated log in a data directory holds, and where it is damaged. It changes nothing; "
        "the agent may run. Exits with 1 when something is wrong.",
        examples=("debug wal ./data", "debug wal -records ./data"),
    ),
}
