"""``/v1/txn``. HTTP reference, "Transactions"."""

from __future__ import annotations

from typing import Any

from pyconsul.api import bodies
from pyconsul.api.catalog_json import (
    CHECK_FIELDS,
    NODE_FIELDS,
    SERVICE_FIELDS,
    check_fields,
    check_of,
    node_fields,
    node_of,
    service_fields,
    service_of,
)
from pyconsul.api.context import Api
from pyconsul.api.errors import KV_PREFIX, error_response
from pyconsul.api.limits import TXN_OPERATIONS_MAX
from pyconsul.api.params import DEFAULT_OPTIONS, read_options
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Answer, Deferred, Response
from pyconsul.codec import json
from pyconsul.codec.json import encode_entry
from pyconsul.errors import CallerError, DecodeError
from pyconsul.fsm.commands import CheckOp, KVOp, NodeOp, ServiceOp, Txn, TxnOp
from pyconsul.records.txn import CheckResult, KVResult, NodeResult, OpResult, TxnResult
from pyconsul.server.backend import ReadMeta
from pyconsul.state.txn import is_read

TOO_LARGE = (
    "Request body{} too large, max size: {} bytes. See https://www.consul.io/docs/agent/options.html#txn_max_req_len."
)

KV_FIELDS: bodies.Spec = {
    "verb": ("verb", bodies.text),
    "key": ("key", bodies.text),
    "value": ("value", bodies.byte_string),
    "flags": ("flags", bodies.unsigned),
    "index": ("index", bodies.unsigned),
    "session": ("session", bodies.text),
    "namespace": ("namespace", bodies.ignored),
}


def transaction(api: Api, request: Request) -> Answer:
    """Reads are answered from the store, anything else goes through the log."""
    ops = _decode(api, request)
    if len(ops) > TXN_OPERATIONS_MAX:
        raise CallerError(f"Transaction contains too many operations ({len(ops)} > {TXN_OPERATIONS_MAX})", 413)
    given = [op for op in ops if op is not None]
    _check_sizes(api, given)
    if is_read(given):
        options = read_options(request, api.settings.use_cache) if request.query else DEFAULT_OPTIONS
        api.check_datacenter(options.dc)
        meta = api.consensus.read_now(options.mode)
        if meta is not None:
            return _read(api, given, meta)

        async def later() -> Response:
            return _read(api, given, await api.consensus.read(options.mode))

        return later()
    api.check_datacenter(request.query.get("dc"))
    answer = TxnWrite()
    api.consensus.submit(Txn(given), answer.done)
    return answer


class TxnWrite(Deferred):
    """A transaction that is under way."""

    __slots__ = ()

    def done(self, result: object) -> None:
        if isinstance(result, TxnResult):
            self.resolve(_answer(result, b"", b""))
        elif isinstance(result, BaseException):
            self.resolve(error_response(result, KV_PREFIX))
        else:
            self.resolve(error_response(TypeError(f"a transaction gave {result!r}")))


def _read(api: Api, ops: list[TxnOp], meta: ReadMeta) -> Response:
    result = api.consensus.store.txn_read(ops)
    known = b"true" if meta.known_leader else b"false"
    more = b',"Index":0,"LastContact":%d,"KnownLeader":%b,"ConsistencyLevel":"","NotModified":false,"Backend":0' % (
        meta.last_contact_ms * 1_000_000,
        known,
    )
    head = b"X-Consul-Knownleader: %b\r\nX-Consul-Lastcontact: %d\r\n" % (known, meta.last_contact_ms)
    return _answer(result, more, head)


def _answer(result: TxnResult, more: bytes, head: bytes) -> Response:
    if result.errors:
        errors = json.encode([{"OpIndex": error.op_index, "What": error.what} for error in result.errors])
        return Response(409, b'{"Results":null,"Errors":%b%b}' % (errors, more), JSON_HEAD + head, True)
    results = b",".join(map(_encode_result, result.results))
    return Response(200, b'{"Results":[%b],"Errors":null%b}' % (results, more), JSON_HEAD + head, True)


def _encode_result(result: OpResult) -> bytes:
    if isinstance(result, KVResult):
        return b'{"KV":%b}' % encode_entry(result.entry, result.with_value)
    if isinstance(result, NodeResult):
        return json.encode({"Node": node_fields(result.node)})
    if isinstance(result, CheckResult):
        return json.encode({"Check": check_fields(result.check, null_tags=True)})
    return json.encode({"Service": service_fields(result.service, null_tags=True)})


def _decode(api: Api, request: Request) -> list[TxnOp | None]:
    """The operations, None for empty ones. Raises CallerError: 413, 400."""
    limit = api.settings.txn_body_max
    if request.announced is not None and request.announced > limit:
        size = f"({request.announced} bytes)"
        raise CallerError(TOO_LARGE.format(size, api.settings.txn_max_req_len), 413)
    if request.body is None or len(request.body) > limit:
        raise CallerError(TOO_LARGE.format("", api.settings.txn_max_req_len), 413)
    try:
        value = json.decode(request.body)
        return [_operation(api, item) for item in ([] if value is None else bodies.a_list(value))]
    except DecodeError as error:
        raise CallerError(f"Failed to parse body: {error}") from error


def _operation(api: Api, value: Any) -> TxnOp | None:
    """KV counts before Node, Service and Check; all of them must be well-formed."""
    datacenter = api.backend.datacenter
    spec: bodies.Spec = {
        "kv": ("1", _kv_operation),
        "node": ("2", lambda item: _node_operation(item, datacenter)),
        "service": ("3", _service_operation),
        "check": ("4", _check_operation),
    }
    found = bodies.object_fields(value, spec)
    first: TxnOp | None = found[min(found)] if found else None
    return first


def _kv_operation(value: Any) -> KVOp:
    fields = bodies.object_fields(value, KV_FIELDS)
    return KVOp(
        verb=fields.get("verb", ""),
        key=fields.get("key", "").encode("utf-8", "replace"),
        value=fields.get("value", b""),
        flags=fields.get("flags", 0),
        index=fields.get("index", 0),
        session=fields.get("session", ""),
    )


def _node_operation(value: Any, datacenter: str) -> NodeOp:
    spec: bodies.Spec = {
        "verb": ("Verb", bodies.text),
        "node": ("Node", lambda item: bodies.object_fields(item, NODE_FIELDS)),
    }
    fields = bodies.object_fields(value, spec)
    return NodeOp(fields.get("Verb", ""), node_of(fields.get("Node", {}), datacenter))


def _service_operation(value: Any) -> ServiceOp:
    spec: bodies.Spec = {
        "verb": ("Verb", bodies.text),
        "node": ("Node", bodies.text),
        "service": ("Service", lambda item: bodies.object_fields(item, SERVICE_FIELDS)),
    }
    fields = bodies.object_fields(value, spec)
    return ServiceOp(fields.get("Verb", ""), service_of(fields.get("Service", {}), fields.get("Node", "")))


def _check_operation(value: Any) -> CheckOp:
    spec: bodies.Spec = {
        "verb": ("Verb", bodies.text),
        "check": ("Check", lambda item: bodies.object_fields(item, CHECK_FIELDS)),
    }
    fields = bodies.object_fields(value, spec)
    return CheckOp(fields.get("Verb", ""), check_of(fields.get("Check", {})))


def _check_sizes(api: Api, ops: list[TxnOp]) -> None:
    limit = api.settings.kv_max_value_size
    for op in ops:
        if isinstance(op, KVOp) and len(op.value) > limit:
            name = json.to_text(op.key)
            raise CallerError(f'Value for key "{name}" is too large ({len(op.value)} > {limit} bytes)', 413)
