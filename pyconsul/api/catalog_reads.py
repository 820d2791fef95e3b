"""What reads of catalog and health have in common: headers, watches, selection by node metadata and tags."""

from __future__ import annotations

from collections.abc import Callable

from pyconsul.api.blocking import FAILED_READ_HEAD, Wake, Watched, read_head
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Response
from pyconsul.records.catalog import Node, Service
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store
from pyconsul.state.watch import Handle


class AnyOf:
    """Several watches that wake the same reader once."""

    __slots__ = ("_handles", "_wake")

    def __init__(self, wake: Wake) -> None:
        self._handles: list[Handle] = []
        self._wake = wake

    def add(self, handle: Handle) -> None:
        self._handles.append(handle)

    def fire(self) -> None:
        if self._handles:
            self.cancel()
            self._wake()

    def cancel(self) -> None:
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.cancel()


def watch_tables(*names: str) -> Callable[[Store, Wake], Watched]:
    """Wakes when the index of any of the tables moves."""

    def watch(store: Store, wake: Wake) -> Watched:
        if len(names) == 1:
            return store.watches.table(names[0], wake)
        several = AnyOf(wake)
        for name in names:
            several.add(store.watches.table(name, several.fire))
        return several

    return watch


class CatalogRead:
    """A read of functions: its index, its watch, and its body as JSON."""

    __slots__ = ("_body", "_consistency", "index", "watch")

    ERROR_HEAD = FAILED_READ_HEAD

    def __init__(
        self,
        mode: ReadMode,
        index: Callable[[Store], int],
        watch: Callable[[Store, Wake], Watched],
        body: Callable[[Store], bytes],
    ) -> None:
        self._consistency = b"X-Consul-Effective-Consistency: %b\r\n" % mode.value.encode()
        self.index = index
        self.watch = watch
        self._body = body

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        head = JSON_HEAD + read_head(self.index(store), meta) + self._consistency
        return Response(200, self._body(store), head, True)


def node_meta_filter(request: Request) -> dict[str, str]:
    """What ``node-meta`` asks for; of one key given twice the last counts."""
    wanted = {}
    for pair in request.query.all("node-meta"):
        key, _, value = pair.partition(":")
        wanted[key] = value
    return wanted


def has_meta(node: Node, wanted: dict[str, str]) -> bool:
    meta = node.meta or {}
    return all(meta.get(key) == value for key, value in wanted.items())


def has_tags(service: Service, tags: list[str]) -> bool:
    """All of the tags, without regard to case."""
    if not tags:
        return True
    own = {tag.lower() for tag in service.tags or ()}
    return all(tag.lower() in own for tag in tags)
