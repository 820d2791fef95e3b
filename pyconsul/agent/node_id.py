"""The id of this node: given, kept from an earlier start, or made.

The id is a UUID in lower case. One that was given is not written down; one that was made is, so that the node is the
same after a restart.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pyconsul.clock import random_uuid
from pyconsul.errors import ConfigError

FILE_NAME = "node-id"
_PREFIX = "failed to setup node ID: "
_GROUPS = (8, 4, 4, 4, 12)
_HOST_ID_FILES = ("/sys/class/dmi/id/product_uuid", "/etc/machine-id")


class NodeIdStore(Protocol):
    """Keeps a small text in the data directory."""

    def read(self) -> str | None:
        """What was kept, without surrounding blanks; None if nothing was. Raises StorageError."""

    def write(self, text: str) -> None:
        """Keeps the text so that it survives a crash. Raises StorageError."""


def setup_node_id(
    given: str,
    data_dir: str,
    store: NodeIdStore | None,
    *,
    from_host: bool = False,
    make: Callable[[], str] = random_uuid,
    host_id: Callable[[], str | None] | None = None,
) -> str:
    """The id to use. ``store`` is None when there is no data directory (development): then nothing is kept.

    ``from_host``: derive the id from the machine's, so that a machine whose data was lost keeps its id. Raises
    ConfigError for an id that is none, StorageError from the store.
    """
    if given:
        return _checked(given, "specified NodeID is invalid")
    kept = store.read() if store is not None else None
    if kept:
        return _checked(kept, f"NodeID in {data_dir}/{FILE_NAME} is invalid")
    found = (host_id or read_host_id)() if from_host else None
    node_id = found or make()
    if store is not None:
        store.write(node_id)
    return node_id


def uuid_error(text: str) -> str | None:
    """Why the text is no UUID, in Consul's words; None if it is one."""
    if len(text) != 36:
        return "uuid string is wrong length"
    parts = text.split("-")
    if tuple(len(part) for part in parts) != _GROUPS:
        return "uuid is improperly formatted"
    for char in "".join(parts):
        if char not in "0123456789abcdefABCDEF":
            return f"encoding/hex: invalid byte: U+{ord(char):04X} '{char}'"
    return None


def _checked(text: str, what: str) -> str:
    reason = uuid_error(text)
    if reason is not None:
        raise ConfigError(f"{_PREFIX}{what}: {reason}")
    return text.lower()


def read_host_id() -> str | None:
    """A UUID that stands for this machine, not telling the machine's own id; None where there is none to read."""
    for name in _HOST_ID_FILES:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return str(uuid.uuid5(uuid.NAMESPACE_OID, f"pyconsul node {text}"))
    return None
