"""Where the page's files come from: the built ones that are part of the package, or a folder of the operator."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pyconsul.errors import ConfigError

DIST = Path(__file__).parent / "dist"
INDEX = "index.html"
BUILT_CONTENT_PATH = '="/ui/'
"""How the built ``index.html`` names its own files; written anew for another content path."""

CODINGS = {"gzip": ".gz", "br": ".br"}
CUSTOM_FILE_BYTES_MAX = 64 * 1024 * 1024


class Asset:
    """A file: its bytes as they are, and in the codings it was compressed to beforehand."""

    __slots__ = ("body", "coded", "etag", "hashed")

    def __init__(self, body: bytes, coded: Mapping[str, bytes] | None = None, hashed: bool = False) -> None:
        self.body = body
        self.coded = dict(coded or {})
        self.hashed = hashed
        """Whether the name changes with the content, so that it may be kept for ever."""
        self.etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'


class Files(Protocol):
    """``find`` takes a path below the content path, "" for the page itself; None: no such file."""

    def find(self, name: str) -> Asset | None: ...


class BuiltFiles:
    """What the build left in ``dist``; read once, since it is small. Raises ConfigError when the page is not there."""

    def __init__(self, content_path: str, datacenter: str, dist: Path = DIST) -> None:
        if not (dist / INDEX).is_file():
            raise ConfigError(f"the web page is not part of this installation ({dist / INDEX} is missing)")
        self._assets: dict[str, Asset] = {}
        for path in sorted(dist.rglob("*")):
            if path.is_file() and path.suffix not in CODINGS.values():
                name = path.relative_to(dist).as_posix()
                self._assets[name] = self._read(path, name.startswith("assets/"))
        page = self._assets[INDEX].body.decode()
        page = page.replace(BUILT_CONTENT_PATH, f'="{content_path}')
        page = page.replace('data-datacenter=""', f'data-datacenter="{html.escape(datacenter)}"')
        self._assets[INDEX] = self._assets[""] = Asset(page.encode())

    @staticmethod
    def _read(path: Path, hashed: bool) -> Asset:
        coded = {}
        for coding, suffix in CODINGS.items():
            twin = path.with_name(path.name + suffix)
            if twin.is_file():
                coded[coding] = twin.read_bytes()
        return Asset(path.read_bytes(), coded, hashed)

    def find(self, name: str) -> Asset | None:
        return self._assets.get(name)


class FolderFiles:
    """The operator's own folder (``-ui-dir``), read at each request; nothing outside of it is served."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, name: str) -> Asset | None:
        try:
            path = (self._folder / (name or INDEX)).resolve()
            inside = path.is_relative_to(self._folder)
            if not inside or not path.is_file() or path.stat().st_size > CUSTOM_FILE_BYTES_MAX:
                return None
            return Asset(path.read_bytes())
        except (OSError, ValueError):  # a name that no file can have, or a file that just went
            return None
