"""URLs as Go's net/url writes them: error messages show the URL, and scripts compare messages."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_PATH = _UNRESERVED | frozenset(b"$&+,/:;=@")
_HOST = _UNRESERVED | frozenset(b"!$&'()*+,;=:[]<>\"")


def _escape(text: str, safe: frozenset[int]) -> str:
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def escape_path(path: str) -> str:
    """A path with everything escaped that may not stand in one; slashes stay."""
    return _escape(path, _PATH)


def escape_host(host: str) -> str:
    """A host, or the path of a Unix socket, in the host's place."""
    return _escape(host, _HOST)


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """``a=1&b=`` sorted by name; of one name the order is kept."""
    pairs = sorted(query, key=lambda pair: pair[0])
    return "&".join(f"{_query_part(name)}={_query_part(value)}" for name, value in pairs)


def _query_part(text: str) -> str:
    return _escape(text, _UNRESERVED | {0x20}).replace(" ", "+")
