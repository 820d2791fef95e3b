"""``pyconsul tls cert create``."""

from __future__ import annotations

from pyconsul.client.oserrors import go_error
from pyconsul.codec.go_flags import BOOL, INT, STRING, STRINGS, Flag
from pyconsul_cli.command import Command, CommandError, Context
from pyconsul_cli.commands.tls_ca import REPEAT

KINDS = ("server", "client", "cli")
WARNING = (
    "==> WARNING: Whoever holds a server certificate and its key can act as a\n"
    "    server of this datacenter: read and write all state, and speak for all\n"
    "    services. Give it to servers only, one each, and keep the key secret;\n"
    "    agents that are no servers get client certificates."
)


def run(context: Context) -> int:
    flags = context.flags
    kinds = [kind for kind in KINDS if flags.boolean(kind)]
    if len(kinds) != 1:
        raise CommandError("Please provide either -server, -client, or -cli")
    kind = kinds[0]
    if flags.string("node") and kind != "server":
        raise CommandError("-node requires -server")
    domain, datacenter = flags.string("domain"), flags.string("dc")
    authority = flags.string("ca").replace("#DOMAIN#", domain)
    authority_key = flags.string("key").replace("#DOMAIN#", domain)
    if not authority:
        raise CommandError("Please provide the ca")
    if not authority_key:
        raise CommandError("Please provide the key")
    certificate_pem = _read(authority, "Error reading CA")
    key_pem = _read(authority_key, "Error reading CA key")
    if kind == "server":
        context.out(WARNING)
    context.out(f"==> Using {authority} and {authority_key}")
    from pyconsul_cli.certificates import CertificateError, create_certificate, write_key, write_public

    names, addresses = _names(context, kind, datacenter, domain)
    try:
        made = create_certificate(certificate_pem, key_pem, flags.integer("days"), names, addresses, kind != "cli")
    except CertificateError as error:
        raise CommandError(str(error)) from error
    public, private = _free_names(f"{datacenter}-{kind}-{domain}")
    write_public(public, made.certificate_pem)
    context.out(f"==> Saved {public}")
    write_key(private, made.key_pem)
    context.out(f"==> Saved {private}")
    return 0


def _read(path: str, prefix: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CommandError(f"{prefix}: {go_error('open', path, error)}") from error


def _names(context: Context, kind: str, datacenter: str, domain: str) -> tuple[list[str], list[str]]:
    """The subject followed by all DNS names, and the IP addresses."""
    names = [name for name in context.flags.strings("additional-dnsname") if name]
    addresses = [address for address in context.flags.strings("additional-ipaddress") if address]
    subject = f"{kind}.{datacenter}.{domain}"
    if context.flags.string("node"):
        names.append(f"{context.flags.string('node')}.server.{datacenter}.{domain}")
    names.append(subject)
    if kind != "cli":
        names.append("localhost")
        addresses.append("127.0.0.1")
    return [subject, *names], addresses


def _free_names(stem: str) -> tuple[str, str]:
    import os

    number = 0
    while os.path.exists(f"{stem}-{number}.pem") or os.path.exists(f"{stem}-{number}-key.pem"):
        number += 1
    return f"{stem}-{number}.pem", f"{stem}-{number}-key.pem"


COMMANDS = {
    "tls cert create": Command(
        "tls cert create",
        run,
        flags=(
            Flag("server", BOOL, "For a server."),
            Flag("client", BOOL, "For an agent that is no server."),
            Flag("cli", BOOL, "For the command line and other HTTP clients."),
            Flag("ca", STRING, "The authority's certificate.", "#DOMAIN#-agent-ca.pem", value_name="file"),
            Flag("key", STRING, "The authority's key.", "#DOMAIN#-agent-ca-key.pem", value_name="file"),
            Flag("days", INT, "How long it is valid.", 365, value_name="days"),
            Flag("dc", STRING, "The datacenter.", "dc1", value_name="dc"),
            Flag("domain", STRING, "The cluster's domain.", "consul", value_name="domain"),
            Flag("node", STRING, "With -server: the node's name, to stand in the certificate.", value_name="node"),
            Flag("additional-dnsname", STRINGS, "A further name; may be repeated.", value_name="name"),
            Flag("additional-ipaddress", STRINGS, "A further address; may be repeated.", value_name="ip"),
        ),
        repeat=REPEAT,
        about="Makes a certificate and its key, signed by the authority that 'tls ca create' made. The files are named "
        "DC-KIND-DOMAIN-N.pem and -N-key.pem with the first free number.",
        examples=("tls cert create -server -dc=dc1", "tls cert create -cli"),
    )
}
