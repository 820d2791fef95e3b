"""``pyconsul services …``: by flags, or as agent configuration files say."""

from __future__ import annotations

from pyconsul.codec.go_flags import INT, PAIRS, STRING, STRINGS, Flag
from pyconsul.codec.go_numbers import parse_int
from pyconsul.errors import ConfigError
from pyconsul_cli.command import Command, CommandError, Context, failing, to_bytes
from pyconsul_cli.output import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def register(context: Context) -> int:
    flags = context.flags
    if flags.string("name") and context.args:
        raise CommandError("Service registration requires arguments or -id, not both.")
    if flags.string("name"):
        services = [_from_flags(context)]
    elif context.args:
        services = [api_form(definition) for definition in _from_files(context)]
    else:
        raise CommandError("Service registration requires at least one argument or flags.")
    client = context.client()
    for service in services:
        name = service.get("Name", "")
        with failing(f'Error registering service "{name}"'):
            client.put("/v1/agent/service/register", (), to_bytes(to_json(service, indent=None)))
        context.out(f"Registered service: {name}")
    return 0


def deregister(context: Context) -> int:
    identity = context.flags.string("id")
    if identity and context.args:
        raise CommandError("Service deregistration requires arguments or -id, not both.")
    if identity:
        services = [("", identity)]
    elif context.args:
        found = [api_form(definition) for definition in _from_files(context)]
        services = [
            (str(service.get("Name", "")), str(service.get("ID") or service.get("Name", ""))) for service in found
        ]
    else:
        raise CommandError("Service deregistration requires at least one argument or -id.")
    client = context.client()
    for name, service_id in services:
        # Consul's text names registering here, and scripts know it so.
        with failing(f'Error registering service "{name}"'):
            client.put(f"/v1/agent/service/deregister/{service_id}")
        context.out(f"Deregistered service: {service_id}")
    return 0


def _from_flags(context: Context) -> dict[str, Any]:
    flags = context.flags
    tagged = {}
    for tag, text in flags.pairs("tagged-address").items():
        address, port = _split_address(text)
        tagged[tag] = {"Address": address, "Port": port}
    return {
        "Kind": flags.string("kind"),
        "ID": flags.string("id"),
        "Name": flags.string("name"),
        "Tags": flags.strings("tag"),
        "Port": flags.integer("port"),
        "SocketPath": flags.string("socket"),
        "Address": flags.string("address"),
        "TaggedAddresses": tagged,
        "Meta": flags.pairs("meta"),
    }


def _split_address(text: str) -> tuple[str, int]:
    """Raises CommandError."""
    host, separator, port = text.rpartition(":")
    if not separator or (":" in host and not host.startswith("[")):
        raise CommandError(f"Invalid Tagged Address: address {text}: missing port in address")
    try:
        return host.strip("[]"), parse_int(port)
    except ValueError as error:
        raise CommandError(f"Invalid Tagged Address: {error}") from error


def _from_files(context: Context) -> list[Mapping[str, Any]]:
    """The services that the files define; warnings go to stderr. Raises CommandError."""
    from pyconsul.agent.config_sources import from_files

    try:
        sources = from_files(context.args)
    except ConfigError as error:
        raise CommandError(f"Error: {error}") from error
    for warning in sources.warnings:
        context.err(warning)
    services = sources.tree.get("services") or []
    return [dict(service) for service in services] if isinstance(services, list) else []


_ACRONYMS = {
    "id": "ID",
    "http": "HTTP",
    "tcp": "TCP",
    "udp": "UDP",
    "grpc": "GRPC",
    "grpc_use_tls": "GRPCUseTLS",
    "h2ping": "H2PING",
    "h2ping_use_tls": "H2PingUseTLS",
    "ttl": "TTL",
    "docker_container_id": "DockerContainerID",
    "tls_skip_verify": "TLSSkipVerify",
    "tls_server_name": "TLSServerName",
    "service_id": "ServiceID",
    "check_id": "CheckID",
}
_FREE_KEYS = ("meta", "header", "tagged_addresses", "config")
"""Objects below these have names of the user's choice."""


def api_form(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with a configuration file's names (``enable_tag_override``) in the API's (``EnableTagOverride``)."""
    found = {}
    for key, value in definition.items():
        name = _ACRONYMS.get(key) or "".join(part.capitalize() for part in key.split("_"))
        if key == "checks" and isinstance(value, list):
            value = [api_form(check) for check in value if isinstance(check, dict)]
        elif key == "tagged_addresses" and isinstance(value, dict):
            value = {tag: api_form(address) if isinstance(address, dict) else address for tag, address in value.items()}
        elif isinstance(value, dict) and key not in _FREE_KEYS:
            value = api_form(value)
        found[name] = value
    return found


COMMANDS = {
    "services register": Command(
        "services register",
        register,
        usage="[FILE ...]",
        sets="CSN",
        flags=(
            Flag("name", STRING, "The service's name; with it no files.", value_name="name"),
            Flag("id", STRING, "Its id, if that is not the name.", value_name="id"),
            Flag("address", STRING, "Where it listens, if not at the node's address.", value_name="address"),
            Flag("port", INT, "Its port.", value_name="port"),
            Flag("socket", STRING, "Its Unix socket.", value_name="path"),
            Flag("kind", STRING, "Its kind.", value_name="kind"),
            Flag("tag", STRINGS, "A tag; may be repeated.", value_name="tag"),
            Flag("meta", PAIRS, "key=value of metadata; may be repeated.", value_name="key=value"),
            Flag("tagged-address", PAIRS, "NAME=HOST:PORT; may be repeated.", value_name="name=address"),
        ),
        about="Puts services on the agent: one that flags describe, or those of agent configuration files.",
        examples=("services register -name=web -port=80 -tag=v1", "services register web.hcl"),
    ),
    "services deregister": Command(
        "services deregister",
        deregister,
        usage="[FILE ...]",
        sets="CSN",
        flags=(Flag("id", STRING, "The service's id; with it no files.", value_name="id"),),
        about="Takes services off the agent: one by its id, or those of agent configuration files.",
        examples=("services deregister -id=web",),
    ),
}
