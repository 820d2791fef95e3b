"""``/v1/event/…``. HTTP reference, "Events"."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

from pyconsul.api import bodies
from pyconsul.api.context import Api
from pyconsul.api.events import events_index
from pyconsul.api.limits import BLOCKING_WAIT_MAX_NS
from pyconsul.api.params import blocking_options
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Answer, Deferred, Response, json_response
from pyconsul.clock import random_uuid
from pyconsul.codec import json
from pyconsul.codec.duration import SECOND
from pyconsul.codec.pattern import Pattern
from pyconsul.codec.user_event import EVENT_PREFIX, UserEvent, encode_user_event
from pyconsul.errors import CallerError, DecodeError
from pyconsul.server.backend import ReadMode

EVENT_SIZE_MAX = 512
EVENT_TOO_LARGE = (
    '1 error occurred:\n\t* error broadcasting event to segment "": '
    "user event exceeds configured limit of 512 bytes before encoding\n\n"
)


def event_fields(event: UserEvent) -> dict[str, Any]:
    """An event as JSON shows it."""
    return {
        "ID": event.id,
        "Name": event.name,
        "Payload": b64encode(event.payload).decode() if event.payload else None,
        "NodeFilter": event.node_filter,
        "ServiceFilter": event.service_filter,
        "TagFilter": event.tag_filter,
        "Version": event.version,
        "LTime": event.lamport_time,
    }


async def fire(api: Api, request: Request) -> Response:
    """Sends an event to all agents of the datacenter."""
    query, name = request.query, request.argument_text
    if not name:
        raise CallerError("Missing name")
    # A payload whose length was not announced is none.
    payload = bodies.read_body(request, api.settings) if request.announced else b""
    event = UserEvent(
        id=random_uuid(),
        name=name,
        payload=payload,
        node_filter=query.get("node"),
        service_filter=query.get("service"),
        tag_filter=query.get("tag"),
    )
    if event.tag_filter and not event.service_filter:
        raise CallerError("Cannot provide tag filter without service filter", 500)
    for kind, text in (("node", event.node_filter), ("service", event.service_filter), ("tag", event.tag_filter)):
        _check_expression(kind, text)
    api.check_datacenter(query.get("dc"))
    if api.consensus.read_now(ReadMode.DEFAULT) is None:
        await api.consensus.read(ReadMode.DEFAULT)  # a leader has to be there
    serf_name, data = EVENT_PREFIX + name, encode_user_event(event)
    if len(serf_name.encode()) + len(data) > EVENT_SIZE_MAX:
        raise CallerError(EVENT_TOO_LARGE, 500)
    api.backend.agent.fire_event(serf_name, data)
    return json_response(event_fields(event))


def list_events(api: Api, request: Request) -> Answer:
    """The kept events; waits while the index of the (filtered) list is exactly the given one."""
    index, wait_ns = blocking_options(request.query)
    name = request.query.get("name")
    events = api.events.named(name)
    if index and events_index(events) == index:
        return WaitingEvents(api, name, index, wait_ns)
    return _listed(events)


class WaitingEvents(Deferred):
    """Waits until the list has another index, or the time is over (without a random addition)."""

    __slots__ = ("_api", "_index", "_loop", "_name", "_over", "_timer")

    def __init__(self, api: Api, name: str, index: int, wait_ns: int) -> None:
        super().__init__()
        self._api = api
        self._name = name
        self._index = index
        self._over = False
        self._loop = asyncio.get_running_loop()
        wait_ns = min(wait_ns, BLOCKING_WAIT_MAX_NS) if wait_ns > 0 else BLOCKING_WAIT_MAX_NS
        self._timer = self._loop.call_later(wait_ns / SECOND, self._finish)
        api.events.wait(self, self._woken)

    def cancel(self) -> None:
        self._stop()
        super().cancel()

    def hurry(self) -> None:
        self._finish()

    def _woken(self) -> None:
        if events_index(self._api.events.named(self._name)) == self._index:
            self._api.events.wait(self, self._woken)
        else:
            self._loop.call_soon(self._finish)

    def _finish(self) -> None:
        if not self._over:
            self._stop()
            self.resolve(_listed(self._api.events.named(self._name)))

    def _stop(self) -> None:
        self._over = True
        self._timer.cancel()
        self._api.events.forget(self)


def _listed(events: list[UserEvent]) -> Response:
    head = JSON_HEAD + b"X-Consul-Index: %d\r\n" % events_index(events)
    return Response(200, json.encode([event_fields(event) for event in events]), head, True)


def _check_expression(kind: str, text: str) -> None:
    try:
        Pattern(text)
    except DecodeError as error:
        raise CallerError(f"Invalid {kind} filter: error parsing regexp: {error}", 500) from error
