"""The file of gossip keys: a JSON list of base64 texts, the primary key first, readable by its owner only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pyconsul.errors import ConfigError, StorageError
from pyconsul.gossip.keyring import format_key, parse_key
from pyconsul.storage.files import Files
from pyconsul.storage.text_file import TextFile

SIZE_MAX = 64 * 1024


def load_keyring(path: Path, files: Files | None = None) -> list[bytes] | None:
    """The keys, None when there is no such file. Raises ConfigError (damaged; no key is shown), StorageError."""
    files = files or Files()
    try:
        handle = files.open_read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    try:
        data = files.read(handle, SIZE_MAX, 0)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    finally:
        files.close(handle)
    try:
        texts = json.loads(data)
    except ValueError:
        texts = None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{path} is not a JSON list of keys: restore it, or remove it and start with -encrypt")
    try:
        return [parse_key(text) for text in texts]
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def save_keyring(path: Path, keys: Sequence[bytes], files: Files | None = None) -> None:
    """Replaces the file as a whole. Raises StorageError."""
    TextFile(path, files).write(json.dumps([format_key(key) for key in keys], indent=2))
