"""``/v1/kv/``. HTTP reference, "Keys" and "Locks"."""

from __future__ import annotations

from pyconsul.api.blocking import Wake, Watched, read_head, serve_read
from pyconsul.api.context import Api
from pyconsul.api.errors import KV_PREFIX, error_response
from pyconsul.api.kept_entries import KeptEntries
from pyconsul.api.kept_lists import KeptLists
from pyconsul.api.params import (
    NO_QUERY,
    Query,
    read_options,
    refuse_namespace,
)
from pyconsul.api.request import Request
from pyconsul.api.response import (
    JSON_HEAD,
    RAW_HEAD,
    Answer,
    Deferred,
    Response,
    json_bytes,
)
from pyconsul.codec.json import encode_entries, encode_entry, encode_keys
from pyconsul.codec.numbers import parse_uint
from pyconsul.errors import CallerError, DecodeError, PyconsulError
from pyconsul.fsm.commands import AnyCommand, KVCas, KVDelete, KVDeleteCas, KVDeleteTree, KVLock, KVSet, KVUnlock
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store

MISSING_KEY = "Missing key name"
TOO_LARGE = (
    "Request body({} bytes) too large, max size: {} bytes. "
    "See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
)
TOO_LARGE_UNANNOUNCED = (
    "Request body too large, max size: {} bytes. See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
)

DEFAULT = ReadMode.DEFAULT
TRUE = json_bytes(b"true")
FALSE = json_bytes(b"false")
TRUE.repeats = FALSE.repeats = True


class KeyRead:
    """One key; ``raw``: its value as the body."""

    __slots__ = ("_kept", "key", "raw")

    def __init__(self, kept: KeptEntries, key: bytes, raw: bool) -> None:
        self._kept = kept
        self.key = key
        self.raw = raw

    def index(self, store: Store) -> int:
        return store.kv.index_of_key(self.key)

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.key(self.key, wake)

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        if not self.raw:
            return _shown(self._kept, self.key, store, meta)
        entry = store.kv.get(self.key)
        if entry is None:
            return Response(404, b"", read_head(store.kv.index, meta))
        return Response(200, entry.value, RAW_HEAD + read_head(entry.modify_index, meta))


def _shown(kept: KeptEntries, key: bytes, store: Store, meta: ReadMeta) -> Response:
    """The answer to a read of one key."""
    entry = store.kv.get(key)
    if entry is None:
        return Response(404, b"", read_head(store.kv.index, meta))
    usual = meta.known_leader and not meta.last_contact_ms
    if usual:
        answer = kept.find(entry)
        if answer is not None:
            return answer
    head = JSON_HEAD + read_head(entry.modify_index, meta)
    answer = Response(200, b"[%b]" % encode_entry(entry), head, True)
    if usual:
        kept.keep(entry, answer)
    return answer


class PlainRead(Deferred):
    """A default read of one key that waits for the leader's word and for nothing else: most reads at followers."""

    __slots__ = ("_api", "_key")

    def __init__(self, api: Api, key: bytes) -> None:
        self._answer = self._done = None  # what the base class does, without its call
        self._api = api
        self._key = key
        api.consensus.read_then(DEFAULT, self._allowed)

    def _allowed(self, meta: ReadMeta | PyconsulError) -> None:
        api = self._api
        if isinstance(meta, PyconsulError):
            self.resolve(error_response(meta))
        else:
            self.resolve(_shown(api.entries, self._key, api.consensus.store, meta))


class ListRead:
    """All entries under a prefix."""

    __slots__ = ("_kept", "prefix")
    separator: bytes | None = None

    def __init__(self, kept: KeptLists, prefix: bytes) -> None:
        self._kept = kept
        self.prefix = prefix

    def index(self, store: Store) -> int:
        found = self._kept.find(store.kv, (self.prefix, self.separator))
        return found[0] if found is not None else store.kv.index_of_prefix(self.prefix)

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.prefix(self.prefix, wake)

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        question = (self.prefix, self.separator)
        found = self._kept.find(store.kv, question)
        if found is None:
            index, body = self.encoded(store)
            if not body:
                return Response(404, b"", read_head(index, meta))
            self._kept.keep(question, index, body)
        else:
            index, body = found
        return Response(200, body, JSON_HEAD + read_head(index, meta), True)

    def encoded(self, store: Store) -> tuple[int, bytes]:
        """The index and the list; b"" when there is nothing to be listed."""
        entries, index = store.kv.list_with_index(self.prefix)
        return index, encode_entries(entries) if entries else b""


class KeysRead(ListRead):
    """The names of the keys under a prefix, cut behind a separator."""

    __slots__ = ("separator",)

    def __init__(self, kept: KeptLists, prefix: bytes, separator: bytes) -> None:
        super().__init__(kept, prefix)
        self.separator = separator

    def encoded(self, store: Store) -> tuple[int, bytes]:
        index = store.kv.index_of_prefix(self.prefix)
        names = store.kv.keys(self.prefix, self.separator or b"")
        if not names and self.prefix:
            return index, b""
        return index, encode_keys(names)


def get(api: Api, request: Request) -> Answer:
    """One key, a list of entries or a list of names."""
    query = request.query
    key = request.argument
    if query is NO_QUERY and key:
        headers = request.headers
        if b"cache-control" not in headers and b"x-consul-namespace" not in headers:
            # The hot path: nothing to look at but the key.
            consensus = api.consensus
            meta = consensus.read_now(DEFAULT)
            if meta is not None:
                return _shown(api.entries, key, consensus.store, meta)
            return PlainRead(api, key)
    options = read_options(request, api.settings.use_cache)
    read: KeyRead | ListRead
    if "keys" in query:
        read = KeysRead(api.lists, key, _separator(query))
    elif "recurse" in query:
        read = ListRead(api.lists, key)
    elif not key:
        raise CallerError(MISSING_KEY)
    else:
        read = KeyRead(api.entries, key, "raw" in query)
    refuse_namespace(request)
    return serve_read(api, options, read)


def put(api: Api, request: Request) -> Answer:
    """Writes a key: plainly, with check-and-set, acquiring or releasing."""
    query, key, flags, cas = request.query, request.argument, 0, None
    if query is not NO_QUERY or b"cache-control" in request.headers or b"x-consul-namespace" in request.headers:
        read_options(request, api.settings.use_cache)
        refuse_namespace(request)
    if not key:
        raise CallerError(MISSING_KEY)
    if query is NO_QUERY:
        return _write(api, KVSet(key, _value(api, request)))
    if ("cas" in query) + ("acquire" in query) + ("release" in query) > 1:
        raise CallerError(f"Conflicting flags: {query.encoded()}")
    if "flags" in query:
        flags = _number(query.get("flags"))
    if "cas" in query:
        cas = _number(query.get("cas"))
    value = _value(api, request)
    api.check_datacenter(query.get("dc"))
    command: AnyCommand
    if cas is not None:
        command = KVCas(key, value, flags, cas)
    elif "acquire" in query:
        command = KVLock(key, value, flags, query.get("acquire"))
    elif "release" in query:
        command = KVUnlock(key, value, flags, query.get("release"))
    else:
        command = KVSet(key, value, flags)
    return _write(api, command)


def delete(api: Api, request: Request) -> Answer:
    """Removes one key, one key with check-and-set, or all keys with a prefix."""
    query, key = request.query, request.argument
    read_options(request, api.settings.use_cache)
    refuse_namespace(request)
    recurse = "recurse" in query
    if recurse and "cas" in query:
        raise CallerError(f"Conflicting flags: {query.encoded()}")
    if not key and not recurse:
        raise CallerError(MISSING_KEY)
    command: AnyCommand
    if recurse:
        command = KVDeleteTree(key)
    elif "cas" in query:
        command = KVDeleteCas(key, _number(query.get("cas")))
    else:
        command = KVDelete(key)
    api.check_datacenter(query.get("dc"))
    return _write(api, command)


class KVWrite(Deferred):
    """A write of keys that is under way."""

    __slots__ = ()

    def done(self, result: object) -> None:
        if result is True:
            self.resolve(TRUE)
        elif isinstance(result, BaseException):
            self.resolve(error_response(result, KV_PREFIX))
        else:
            self.resolve(FALSE)


def _write(api: Api, command: AnyCommand) -> Deferred:
    answer = KVWrite()
    api.consensus.submit(command, answer.done)
    return answer


def _value(api: Api, request: Request) -> bytes:
    """The body. Raises CallerError (413)."""
    limit = api.settings.kv_max_value_size
    if request.announced is not None and request.announced > limit:
        raise CallerError(TOO_LARGE.format(request.announced, limit), 413)
    if request.body is None:
        raise CallerError(TOO_LARGE_UNANNOUNCED.format(api.settings.chunked_body_max), 413)
    return request.body


def _separator(query: Query) -> bytes:
    return query.raw("separator" if "separator" in query else "seperator")


def _number(text: str) -> int:
    try:
        return parse_uint(text)
    except DecodeError as error:
        raise CallerError(str(error), 500) from error
