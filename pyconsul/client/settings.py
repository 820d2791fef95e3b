"""Where the agent is and how to talk to it: flags first, then the ``CONSUL_*`` variables, then defaults.

An empty variable counts as not set. ``http://`` in an address does not undo ``CONSUL_HTTP_SSL``, and what follows the
port in an address becomes part of the host name: both are Consul's behaviour.
"""

from __future__ import annotations

from pyconsul.client.errors import SettingsError
from pyconsul.codec.go_numbers import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

DEFAULT_ADDRESS = "127.0.0.1:8500"


class Settings:
    """One agent's address and the credentials for it.

    ``authority``: what stands between ``//`` and the path in a URL, as it was typed.
    ``warnings``: complaints about variables that were ignored; the caller shows them.
    """

    __slots__ = (
        "auth",
        "authority",
        "ca_file",
        "ca_path",
        "client_cert",
        "client_key",
        "host",
        "port",
        "scheme",
        "socket_path",
        "tls_context",
        "tls_server_name",
        "token",
        "verify",
        "warnings",
    )

    def __init__(self, address: str = DEFAULT_ADDRESS, token: str = "", tls: bool = False) -> None:
        """Raises SettingsError for an address with an unknown scheme."""
        self.token = token
        self.ca_file = ""
        self.ca_path = ""
        self.client_cert = ""
        self.client_key = ""
        self.tls_server_name = ""
        self.verify = True
        self.auth = ""
        self.warnings: list[str] = []
        self.tls_context: ssl.SSLContext | None = None
        self.scheme = "https" if tls else "http"
        self.socket_path = ""
        self._set_address(address)

    def _set_address(self, address: str) -> None:
        scheme, separator, rest = address.partition("://")
        if not separator:
            rest = address
        elif scheme == "https":
            self.scheme = "https"
        elif scheme == "unix":
            self.socket_path = rest
        elif scheme != "http":
            raise SettingsError(f"Unknown protocol scheme: {scheme}")
        self.authority = rest
        self.host: str
        self.port: int | None
        self.host, self.port = _split_port(rest)

    @property
    def connect_port(self) -> int:
        return self.port if self.port is not None else 443 if self.scheme == "https" else 80


def _split_port(address: str) -> tuple[str, int | None]:
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        if not rest:
            return host, None
        if rest[0] == ":" and rest[1:].isascii() and rest[1:].isdigit():
            return host, int(rest[1:])
        return address, None
    host, separator, port = address.rpartition(":")
    if separator and port.isascii() and port.isdigit() and ":" not in host:
        return host, int(port)
    return address, None


def resolve(environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Flags are by name without dash; one that is missing or empty counts as not given.

    Raises SettingsError: unknown scheme, missing token file, half a key pair,
    certificate files that cannot be used (also where they would not be needed).
    """

    def value(flag: str, variable: str) -> str:
        return flags.get(flag, "") or environ.get(variable, "")

    warnings: list[str] = []

    def switch(variable: str, default: bool) -> bool:
        text = environ.get(variable, "")
        if not text:
            return default
        try:
            return parse_bool(text)
        except ValueError as error:
            warnings.append(f'consul-api: could not parse {variable}: error="{error}"')
            return default

    tls = switch("CONSUL_HTTP_SSL", default=False)
    settings = Settings(value("http-addr", "CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS, tls=tls)
    settings.verify = switch("CONSUL_HTTP_SSL_VERIFY", default=True)
    settings.token = value("token", "CONSUL_HTTP_TOKEN")
    token_file = value("token-file", "CONSUL_HTTP_TOKEN_FILE")
    if token_file:
        settings.token = _read_token(token_file) or settings.token
    settings.ca_file = value("ca-file", "CONSUL_CACERT")
    settings.ca_path = value("ca-path", "CONSUL_CAPATH")
    settings.client_cert = value("client-cert", "CONSUL_CLIENT_CERT")
    settings.client_key = value("client-key", "CONSUL_CLIENT_KEY")
    settings.tls_server_name = value("tls-server-name", "CONSUL_TLS_SERVER_NAME").partition(":")[0]
    settings.auth = environ.get("CONSUL_HTTP_AUTH", "")
    settings.warnings = warnings
    if bool(settings.client_cert) != bool(settings.client_key):
        raise SettingsError("both client cert and client key must be provided")
    if settings.scheme == "https" or settings.ca_file or settings.ca_path or settings.client_cert:
        from pyconsul.client.tls import context

        settings.tls_context = context(settings)
    return settings


def _read_token(path: str) -> str:
    from pyconsul.client.oserrors import go_error

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().strip()
    except OSError as error:
        raise SettingsError(f"Error loading token file: {go_error('open', path, error)}") from error
