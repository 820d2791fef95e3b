"""What a command is: its declaration, and what it gets when it runs.

Cheap to import on purpose (no ``re``, ``json``, ``typing``, ``dataclasses``): every command starts through here.
"""

from __future__ import annotations

import sys

from pyconsul.client.errors import ClientError, SettingsError
from pyconsul.codec.go_flags import BOOL, STRING, Flag, FlagSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import BinaryIO

    from pyconsul.client.client import Client
    from pyconsul.codec.go_flags import ParsedFlags

# The words in capitals are the environment variables that stand for the flags.
CLIENT_FLAGS = (
    Flag("http-addr", STRING, "Agent: host:port, URL or unix:///path. CONSUL_HTTP_ADDR.", value_name="address"),
    Flag("token", STRING, "ACL token. CONSUL_HTTP_TOKEN."),
    Flag("token-file", STRING, "File with the ACL token; wins over -token. CONSUL_HTTP_TOKEN_FILE.", value_name="file"),
    Flag("ca-file", STRING, "CA certificates for HTTPS. CONSUL_CACERT.", value_name="file"),
    Flag("ca-path", STRING, "Directory of CA certificates. CONSUL_CAPATH.", value_name="dir"),
    Flag("client-cert", STRING, "Client certificate, with -client-key. CONSUL_CLIENT_CERT.", value_name="file"),
    Flag("client-key", STRING, "Key of the client certificate. CONSUL_CLIENT_KEY.", value_name="file"),
    Flag("tls-server-name", STRING, "Name in the agent's certificate. CONSUL_TLS_SERVER_NAME.", value_name="name"),
)
SERVER_FLAGS = (
    Flag("datacenter", STRING, "Ask this datacenter rather than the agent's own.", value_name="dc"),
    Flag("stale", BOOL, "Let any server answer a read, even one that lags behind."),
)
NAMESPACE_FLAGS = (Flag("namespace", STRING, "Namespace; no agent of this edition knows any. CONSUL_NAMESPACE."),)

FORMATS = ("pretty", "json")
FORMAT_FLAG = Flag("format", STRING, "Output: pretty or json.", "pretty", value_name="format", choices=FORMATS)


class CommandError(Exception):
    """The command ends with a message on stderr. ``with_help``: the command's help follows after an empty line."""

    def __init__(self, text: str, code: int = 1, with_help: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.with_help = with_help


class Io:
    """The three streams, as bytes."""

    __slots__ = ("stderr", "stdin", "stdout")

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, stderr: BinaryIO) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr

    @classmethod
    def of_process(cls) -> Io:
        return cls(sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)


class Command:
    """The declaration of one command.

    ``sets``: which common flags it takes, of C (agent), S (datacenter, stale), N (namespace). ``repeat``: how the
    message of a flag error is repeated after the flag list, with ``{}`` for it; empty: it is not.
    ``usage``: the words after the command's name. ``examples``: without the program's name. ``raw``: the command gets
    all its words as arguments and reads flags itself.
    """

    __slots__ = (
        "about",
        "connect_error",
        "examples",
        "flags",
        "name",
        "own_flags",
        "raw",
        "repeat",
        "run",
        "sets",
        "usage",
    )

    def __init__(
        self,
        name: str,
        run: Callable[[Context], int],
        *,
        about: str,
        usage: str = "",
        flags: Sequence[Flag] = (),
        sets: str = "",
        examples: Sequence[str] = (),
        repeat: str = "",
        connect_error: str = "Error connecting to Consul agent",
        raw: bool = False,
    ) -> None:
        self.name = name
        self.run = run
        self.about = about
        self.usage = usage
        self.own_flags = tuple(flags)
        self.sets = sets
        self.examples = tuple(examples)
        self.repeat = repeat
        self.connect_error = connect_error
        self.raw = raw
        self.flags = FlagSet(
            self.own_flags,
            CLIENT_FLAGS if "C" in sets else (),
            SERVER_FLAGS if "S" in sets else (),
            NAMESPACE_FLAGS if "N" in sets else (),
        )


class Context:
    """One run of a command: its flags, arguments, streams and environment."""

    __slots__ = ("_clients", "args", "command", "environ", "flags", "io")

    def __init__(self, command: Command, flags: ParsedFlags, io: Io, environ: Mapping[str, str]) -> None:
        self.command = command
        self.flags = flags
        self.args = flags.args
        self.io = io
        self.environ = environ
        self._clients: list[Client] = []

    def out(self, text: str | bytes) -> None:
        """A message and a newline on stdout, at once."""
        self.io.stdout.write(to_bytes(text) + b"\n")
        self.io.stdout.flush()

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Aligned columns, the header first; in colours on a terminal unless NO_COLOR is set or it is a dumb one."""
        from pyconsul_cli.output import columns, painted

        text = columns(rows)
        stdout = self.io.stdout
        colours = not self.environ.get("NO_COLOR") and self.environ.get("TERM", "dumb") != "dumb" and stdout.isatty()
        self.out(painted(text) if colours else text)

    def err(self, text: str) -> None:
        """A message and a newline on stderr."""
        self.io.stderr.write(to_bytes(text) + b"\n")
        self.io.stderr.flush()

    def log(self, level: str, text: str) -> None:
        """A line as an agent's log has them, on stderr."""
        from pyconsul_cli.output import log_line

        self.err(log_line(level, text))

    def client(self) -> Client:
        """A new client by flags and environment. Raises CommandError for settings that cannot be used."""
        from pyconsul.client.client import Client
        from pyconsul.client.settings import resolve

        texts = {flag.name: self.flags.string(flag.name) for flag in CLIENT_FLAGS}
        try:
            settings = resolve(self.environ, texts)
        except SettingsError as error:
            raise CommandError(f"{self.command.connect_error}: {error}") from error
        for warning in settings.warnings:
            # Consul reads its settings twice and complains each time.
            self.log("WARN", warning)
            self.log("WARN", warning)
        client = Client(settings, *self._common_query())
        self._clients.append(client)
        return client

    def _common_query(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        query: list[tuple[str, str]] = []
        read_query: list[tuple[str, str]] = []
        if "S" in self.command.sets:
            if datacenter := self.flags.string("datacenter"):
                query.append(("dc", datacenter))
            if self.flags.boolean("stale"):
                read_query.append(("stale", ""))
        namespace = self.flags.string("namespace") if "N" in self.command.sets else ""
        namespace = namespace or self.environ.get("CONSUL_NAMESPACE", "")
        if namespace:
            query.append(("ns", namespace))
        return query, read_query

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def wants_json(self) -> bool:
        """By the flag -format. Raises CommandError for a format that there is not."""
        shape = self.flags.string("format")
        if shape not in FORMATS:
            raise CommandError(f"Unknown format: {shape}")
        return shape == "json"

    def no_arguments(self) -> None:
        """Raises CommandError when there are arguments."""
        if self.args:
            raise CommandError(f"Too many arguments (expected 0, got {len(self.args)})")


class failing:
    """``with failing("Error leaving")``: errors of the client inside become a CommandError with this prefix."""

    __slots__ = ("prefix",)

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ClientError):
            raise CommandError(f"{self.prefix}: {error}") from error


def to_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
