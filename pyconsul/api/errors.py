"""The one table from exceptions to statuses and texts of answers. HTTP reference, "Errors"."""

from __future__ import annotations

import logging

from pyconsul.api.response import Response, text_response
from pyconsul.errors import (
    ApplyError,
    CallerError,
    NoLeaderError,
    OverloadedError,
    PyconsulError,
    RetryError,
    RpcError,
    StorageError,
)

log = logging.getLogger("agent.http")

FORWARDED_PREFIX = "rpc error making call: "
KV_PREFIX = "raft apply failed: "
APPLY_PREFIX = "apply failed: "
INTERNAL = "internal error"

# 503 says what no Consul client can learn from a 500: nothing was done, and it is a matter of load or room on the disk.
# All else that is temporary has Consul's 500, which clients take as a reason to try again.
STATUS: tuple[tuple[type[PyconsulError], int], ...] = (
    (ApplyError, 500),
    (NoLeaderError, 500),
    (OverloadedError, 503),
    (RpcError, 500),
    (RetryError, 500),
    (StorageError, 500),
)


def error_response(error: BaseException, apply_prefix: str = "", head: bytes = b"") -> Response:
    """The answer that tells of an error. ``apply_prefix`` goes in front of refusals by the state machine."""
    if isinstance(error, CallerError):
        return text_response(error.status, _with_forwarding(error, str(error)), head)
    for kind, status in STATUS:
        if isinstance(error, kind):
            text = apply_prefix + str(error) if kind is ApplyError else str(error)
            return text_response(status, _with_forwarding(error, text), head)
    log.error("Request failed: error=%r", error, exc_info=error)
    return text_response(500, INTERNAL, head)


def _with_forwarding(error: PyconsulError, text: str) -> str:
    must_name_rpc = error.forwarded or isinstance(error, RpcError)
    if must_name_rpc and not text.startswith("rpc error "):
        return FORWARDED_PREFIX + text
    return text
