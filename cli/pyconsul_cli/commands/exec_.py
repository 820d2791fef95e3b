"""``pyconsul exec``: a command on many nodes, by way of a session, keys below ``_rexec/`` and an event."""

from __future__ import annotations

import time

from pyconsul.client.errors import ClientError
from pyconsul.codec.go_flags import BOOL, DURATION, STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing, to_bytes
from pyconsul_cli.commands.event import FILTER_FLAGS, read_filters
from pyconsul_cli.output import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyconsul.client.client import Client

SECOND_NS = 1_000_000_000
SESSION_TTL_S = 15
NODE_FAILED = 2


class Job:
    """One remote execution: what the nodes have said so far."""

    def __init__(self, context: Context, client: Client, prefix: str, session: str) -> None:
        self.context = context
        self.client = client
        self.folder = f"{prefix}/{session}/"
        self.session = session
        self.verbose = context.flags.boolean("verbose")
        self.acknowledged = 0
        self.exited = 0
        self.failed = False
        self._seen = {f"{self.folder}job"}
        self._renewed_at = time.monotonic()

    def collect(self, wait_s: float) -> bool:
        """Waits for answers, shows the new ones; False when none came in time. Raises CommandError."""
        deadline = time.monotonic() + wait_s
        index = 0
        with failing("Failed to read results"):
            while True:
                left_ms = int((deadline - time.monotonic()) * 1000)
                if left_ms <= 0:
                    return False
                self._renew()
                query = [("keys", "")]
                if index:
                    query += [("index", str(index)), ("wait", f"{min(left_ms, SESSION_TTL_S * 500)}ms")]
                answer = self.client.request("GET", f"/v1/kv/{self.folder}", query)
                names = answer.expect_ok().json_strings() if answer.status != 404 else []
                new = [name for name in names if name not in self._seen]
                self._seen.update(new)
                for name in new:
                    self._show(name)
                if new:
                    return True
                index = answer.index

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_at > SESSION_TTL_S / 2:
            self.client.put(f"/v1/session/renew/{self.session}")
            self._renewed_at = time.monotonic()

    def _show(self, key: str) -> None:
        node, _, kind = key.removeprefix(self.folder).partition("/")
        if kind == "ack":
            self.acknowledged += 1
            if self.verbose:
                self.context.out(f"==> {node}: acknowledged")
            return
        value = self.client.get(f"/v1/kv/{key}", [("raw", "")]).body
        if kind.startswith("out/"):
            lines = value.split(b"\n")
            if not value and self.verbose:
                self.context.out(f"==> {node}: heartbeat received")
            for line in lines if value else ():
                self.context.out((b"    " + to_bytes(node) + b": " + line).rstrip())
        elif kind == "exit":
            code = value.decode("ascii", "replace").strip()
            self.exited += 1
            self.failed = self.failed or code != "0"
            self.context.out(f"==> {node}: finished with exit code {code}")


def run(context: Context) -> int:
    flags = context.flags
    if not context.args:
        raise CommandError("Must specify a command to execute", with_help=True)
    filters = read_filters(context)
    job = _job(context)
    client = context.client()
    with failing("Error querying Consul agent"):
        config = client.get("/v1/agent/self").json_object().get("Config") or {}
    session_fields = {"Name": "Remote Exec", "Behavior": "delete", "TTL": f"{SESSION_TTL_S}s"}
    datacenter = flags.string("datacenter")
    if datacenter and datacenter != config.get("Datacenter"):
        session_fields["Node"] = _foreign_node(context, client, datacenter)
    with failing("Failed to create session"):
        body = to_bytes(to_json(session_fields, indent=None))
        session = str(client.put("/v1/session/create", (), body).json_object().get("ID", ""))
    try:
        return _run_job(context, client, session, job, filters)
    finally:
        _clean_up(client, flags.string("prefix"), session)


def _job(context: Context) -> dict[str, object]:
    from base64 import b64encode

    shell = context.flags.boolean("shell")
    job: dict[str, object] = {"Command": "", "Args": None, "Script": None, "Wait": context.flags.integer("wait")}
    if context.args == ["-"]:
        if not shell:
            raise CommandError("Cannot configure -shell=false when reading from stdin")
        job["Script"] = b64encode(context.io.stdin.read()).decode("ascii")
    elif shell:
        job["Command"] = " ".join(context.args)
    else:
        job["Args"] = list(context.args)
    return job


def _foreign_node(context: Context, client: Client, datacenter: str) -> str:
    verbose = context.flags.boolean("verbose")
    if verbose:
        context.out("Remote exec in foreign datacenter, using Session TTL")
    with failing("Failed to create session: Failed to find Consul server in remote datacenter"):
        servers = client.get("/v1/health/service/consul", [("passing", "1")]).json_objects()
    if not servers:
        raise CommandError("Failed to create session: Failed to find Consul server in remote datacenter")
    node = str((servers[0].get("Node") or {}).get("Node", ""))
    if verbose:
        context.out(f"Binding session to remote node {node}@{datacenter}")
    return node


def _run_job(
    context: Context, client: Client, session: str, job: dict[str, object], filters: list[tuple[str, str]]
) -> int:
    flags = context.flags
    verbose, prefix = flags.boolean("verbose"), flags.string("prefix")
    if verbose:
        context.out(f"Created remote execution session: {session}")
    with failing("Failed to create job file"):
        body = to_bytes(to_json(job, indent=None))
        if client.put(f"/v1/kv/{prefix}/{session}/job", [("acquire", session)], body).body.strip() != b"true":
            raise CommandError("Failed to create job file: the key is held by another session")
    if verbose:
        context.out("Uploaded remote execution spec")
    # The event may overtake the replication of the job to the servers of other nodes.
    time.sleep(flags.integer("wait-repl") / SECOND_NS)
    with failing("Failed to fire event"):
        payload = to_bytes(to_json({"Prefix": prefix, "Session": session}, indent=None))
        event = client.put("/v1/event/fire/_rexec", filters, payload).json_object()
    if verbose:
        context.out(f"Fired remote execution event: {event.get('ID', '')}")
    began = time.monotonic()
    found = Job(context, client, prefix, session)
    wait_s = flags.integer("wait") / SECOND_NS
    while found.collect(wait_s * 2 if found.acknowledged > found.exited else wait_s):
        pass
    context.out(f"{found.exited} / {found.acknowledged} node(s) completed / acknowledged")
    if verbose:
        context.out(f"Completed in {time.monotonic() - began:.2f} seconds")
    return NODE_FAILED if found.failed or found.exited < found.acknowledged else 0


def _clean_up(client: Client, prefix: str, session: str) -> None:
    """What fails here goes away with the session's TTL."""
    try:
        client.put(f"/v1/session/destroy/{session}")
        client.delete(f"/v1/kv/{prefix}/{session}", [("recurse", "")])
    except ClientError:
        client.close()


COMMANDS = {
    "exec": Command(
        "exec",
        run,
        usage="COMMAND ... or -",
        sets="CS",
        flags=(
            *FILTER_FLAGS,
            Flag("prefix", STRING, "Where in the key-value store the job is kept.", "_rexec", value_name="prefix"),
            Flag("shell", BOOL, "Run the command by a shell.", True),
            Flag("verbose", BOOL, "Tell what is done."),
            Flag("wait", DURATION, "End after this time without a word from any node.", 2 * SECOND_NS),
            Flag("wait-repl", DURATION, "Time for the job to reach other servers.", SECOND_NS // 5),
        ),
        about="Runs a command on all nodes, or those that the filters name, and shows what they print. Agents "
        "refuse it unless their configuration says disable_remote_exec = false.",
        examples=("exec -node='^web' uptime",),
    )
}
