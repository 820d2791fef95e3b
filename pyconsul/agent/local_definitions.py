"""What a check of this agent is: its definition, the rules for it, and the check as it is now.

HTTP reference, "Checks of the agent". A definition says how to find the status; the record is what the catalog gets.
"""

from __future__ import annotations

import msgspec

from pyconsul.errors import CallerError
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING, Check

STATUSES = (PASSING, WARNING, CRITICAL)
OUTPUT_BYTES_MAX = 4096
DEREGISTER_AFTER_MIN_NS = 60_000_000_000

SCRIPTS_ARE_OFF = (
    "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
)
RUNNABLE = ("ttl", "http", "tcp", "script")
"""The kinds of checks that this agent can carry out; others are refused, not kept and forgotten."""


class CheckDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """As it was given; times in nanoseconds, 0 for none. ``status``: until the first result, "" for critical.

    ``shows_times``: the record tells interval and timeout (checks that were registered by themselves).
    """

    check_id: str = ""
    name: str = ""
    notes: str = ""
    status: str = ""
    service_id: str = ""
    ttl_ns: int = 0
    interval_ns: int = 0
    timeout_ns: int = 0
    http: str = ""
    method: str = ""
    header: dict[str, list[str]] = {}
    body: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    tcp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = ""
    script_args: list[str] = []
    docker_container_id: str = ""
    shell: str = ""
    alias_service: str = ""
    alias_node: str = ""
    success_before_passing: int = 0
    failures_before_critical: int = 0
    deregister_after_ns: int = 0
    output_max_bytes: int = 0
    shows_times: bool = False

    @property
    def kind(self) -> str:
        """What the check does: the first that fits."""
        for kind, given in (
            ("grpc", self.grpc),
            ("http", self.http),
            ("ttl", self.ttl_ns),
            ("tcp", self.tcp),
            ("alias", self.alias_node or self.alias_service),
            ("docker", self.script_args and self.docker_container_id),
            ("script", self.script_args),
            ("h2ping", self.h2ping),
        ):
            if given:
                return kind
        return ""

    @property
    def output_limit(self) -> int:
        return min(self.output_max_bytes or OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX)


EMPTY_CHECK = CheckDefinition()


class LocalCheck:
    """A check as it is now. Times are monotonic seconds; None: not set.

    ``deadline``: when its TTL runs out. ``output_due``: when a changed output has to be in the catalog at the latest.
    ``critical_since``: since when it has been critical without a break.
    """

    __slots__ = ("critical_since", "deadline", "definition", "output_due", "record")

    def __init__(self, record: Check, definition: CheckDefinition) -> None:
        self.record = record
        self.definition = definition
        self.deadline: float | None = None
        self.output_due: float | None = None
        self.critical_since: float | None = None


def check_rules(definition: CheckDefinition) -> None:
    """Raises CallerError (400) with the first rule that is broken."""
    timed = bool(
        definition.script_args or definition.http or definition.tcp or definition.grpc or definition.h2ping
    )  # fmt: skip
    alias = bool(definition.alias_node or definition.alias_service)
    ttl, interval = definition.ttl_ns, definition.interval_ns
    for broken, text in (
        (interval > 0 and ttl > 0, "Interval and TTL cannot both be specified"),
        (timed and interval <= 0, "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks"),
        (timed and alias, "Interval cannot be set for Alias checks"),
        (alias and ttl > 0, "TTL must be not be set for Alias checks"),
        (not timed and not alias and ttl <= 0, "TTL must be > 0 for TTL checks"),
        (definition.output_max_bytes < 0, "MaxOutputMaxSize must be positive"),
    ):
        if broken:
            raise CallerError(f"Invalid check: {text}")


def must_be_runnable(definition: CheckDefinition, scripts_enabled: bool) -> None:
    """Raises CallerError (500) for a kind that is switched off, or that this agent cannot carry out."""
    if definition.kind in ("script", "docker") and not scripts_enabled:
        raise CallerError(SCRIPTS_ARE_OFF, 500)
    if definition.kind not in RUNNABLE:
        raise CallerError(
            f"This agent does not run {definition.kind} checks: use a TTL, HTTP, TCP or script check", 500
        )


def cut_output(text: str, limit: int) -> str:
    """The first ``limit`` bytes, and what was cut."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return text
    return f"{data[:limit].decode('utf-8', 'replace')} ... (captured {limit} of {len(data)} bytes)"
