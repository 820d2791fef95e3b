"""``pyconsul tls ca create``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, INT, STRING, STRINGS, Flag
from pyconsul_cli.command import Command, CommandError, Context

REPEAT = "Failed to parse args: {}"


def run(context: Context) -> int:
    import os

    from pyconsul_cli.certificates import create_authority, write_key, write_public

    flags = context.flags
    domain = flags.string("domain")
    certificate_path, key_path = f"{domain}-agent-ca.pem", f"{domain}-agent-ca-key.pem"
    for path in (certificate_path, key_path):
        if os.path.exists(path):
            raise CommandError(f"{path} already exists.")
    constraints = list(flags.strings("additional-name-constraint"))
    if flags.boolean("name-constraint"):
        constraints += [domain, "localhost"]
    days = flags.integer("days")
    if days <= 0:
        raise CommandError(f"-days must be positive, not {days}")
    name, cluster = flags.string("common-name"), flags.string("cluster-id")
    made = create_authority(days, domain, name, cluster, constraints)
    write_public(certificate_path, made.certificate_pem)
    context.out(f"==> Saved {certificate_path}")
    write_key(key_path, made.key_pem)
    context.out(f"==> Saved {key_path}")
    return 0


COMMANDS = {
    "tls ca create": Command(
        "tls ca create",
        run,
        flags=(
            Flag("days", INT, "How long it is valid.", 1825, value_name="days"),
            Flag("domain", STRING, "The cluster's domain.", "consul", value_name="domain"),
            Flag("common-name", STRING, "Its name, if it shall not be a made one.", value_name="name"),
            Flag("cluster-id", STRING, "The cluster's id, to stand in its names.", value_name="id"),
            Flag("name-constraint", BOOL, "Sign only for names in the domain."),
            Flag("additional-name-constraint", STRINGS, "Sign for names in this domain too.", value_name="domain"),
        ),
        repeat=REPEAT,
        about="Makes the certificate authority of a cluster: DOMAIN-agent-ca.pem for every agent, and "
        "DOMAIN-agent-ca-key.pem, which signs certificates and belongs in a safe place.",
        examples=("tls ca create",),
    )
}
