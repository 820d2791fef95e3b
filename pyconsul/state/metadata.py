"""The rules for the metadata of services."""

from __future__ import annotations

import re

from pyconsul.records.catalog import Service

PAIRS_MAX = 64
KEY_BYTES_MAX = 128
VALUE_BYTES_MAX = 512
RESERVED_PREFIX = "consul-"
_GATEWAY_KEYS = frozenset({"consul-wan-federation"})
_KEY = re.compile(r"[a-zA-Z0-9_-]+")


def service_meta_error(service: Service) -> str | None:
    """Consul's text for the first pair that is not allowed; None: all are."""
    meta = service.meta
    if not meta:
        return None
    if len(meta) > PAIRS_MAX:
        return f"Node metadata cannot contain more than {PAIRS_MAX} key/value pairs"
    allowed = _GATEWAY_KEYS if service.kind == "mesh-gateway" else frozenset[str]()
    for key, value in meta.items():
        why = _pair_error(key, value, allowed)
        if why is not None:
            return f"Couldn't load metadata pair ('{key}', '{value}'): {why}"
    return None


def _pair_error(key: str, value: str, allowed: frozenset[str]) -> str | None:
    if not key:
        return "Key cannot be blank"
    if not _KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > KEY_BYTES_MAX:
        return f"Key is too long (limit: {KEY_BYTES_MAX} characters)"
    if key.startswith(RESERVED_PREFIX) and key not in allowed:
        return f"Key prefix '{RESERVED_PREFIX}' is reserved for internal use"
    if len(value.encode("utf-8", "surrogatepass")) > VALUE_BYTES_MAX:
        return f"Value is too long (limit: {VALUE_BYTES_MAX} characters)"
    return None
