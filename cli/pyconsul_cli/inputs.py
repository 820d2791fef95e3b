"""Values that may be given as text, as ``@file`` or as ``-`` for the standard input, and Go's base64 errors."""

from __future__ import annotations

from pyconsul.client.oserrors import go_error
from pyconsul_cli.command import CommandError, Context, to_bytes

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def read_data(context: Context, text: str, prefix: str) -> bytes:
    """What the argument stands for; any other text is itself. Raises CommandError."""
    if text == "-":
        return context.io.stdin.read()
    if text.startswith("@"):
        try:
            with open(text[1:], "rb") as file:
                return file.read()
        except OSError as error:
            raise CommandError(f"{prefix}: {go_error('open', text[1:], error)}") from error
    return to_bytes(text)


def decode_base64(text: bytes) -> tuple[bytes, str]:
    """The bytes up to the first mistake, and the mistake in Go's words, empty when there is none.

    Line breaks are skipped, padding is needed.
    """
    from base64 import b64decode

    kept = bytearray()
    wrong = -1
    padding = 0
    for at, byte in enumerate(text):
        if byte in b"\r\n":
            continue
        if byte == 0x3D and (len(kept) + padding) % 4 >= 2:
            padding += 1
        elif byte in _ALPHABET and not padding:
            kept.append(byte)
        else:
            wrong = at
            break
    if wrong < 0 and (len(kept) + padding) % 4:
        wrong = len(text)
    if wrong < 0:
        return b64decode(bytes(kept) + b"=" * padding), ""
    whole = bytes(kept[: len(kept) // 4 * 4])
    return b64decode(whole), f"illegal base64 data at input byte {wrong}"
