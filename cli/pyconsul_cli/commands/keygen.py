"""``pyconsul keygen``."""

from __future__ import annotations

from pyconsul_cli.command import Command, Context

KEY_SIZE = 32


def run(context: Context) -> int:
    from base64 import b64encode
    from os import urandom

    context.out(b64encode(urandom(KEY_SIZE)))
    return 0


COMMANDS = {
    "keygen": Command(
        "keygen",
        run,
        about="Prints a new random key for gossip encryption, to be given to every agent as -encrypt.",
        examples=("keygen",),
    )
}
