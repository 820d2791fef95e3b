"""``/v1/internal/ui/sessions``: what the web page shows of sessions, more than Consul's endpoints tell.

An addition of pyconsul (docs/design/ui.md): the sessions as ``session/list`` has them, each with the keys that it holds
and the time until it ends unless somebody renews it.
"""

from __future__ import annotations

from pyconsul.api.blocking import read_head
from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.api.session import session_fields
from pyconsul.codec import json
from pyconsul.server.backend import ReadMode

HELD_KEYS_MAX = 100
"""Of each session; a page shows no more."""


async def sessions(api: Api, request: Request) -> Response:
    """A stale read; it never waits. ``ExpiresInMs`` is null without a TTL, and while no leader counts the time."""
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    times = await api.consensus.session_times()
    meta = await api.consensus.read(ReadMode.STALE)
    store = api.consensus.store
    found = []
    for session in store.sessions.list():
        fields = session_fields(session)
        fields["HeldKeys"] = [json.to_text(key) for key in store.sessions.keys_of(session.id)[:HELD_KEYS_MAX]]
        left_s = times.get(session.id)
        fields["ExpiresInMs"] = None if left_s is None else int(left_s * 1000)
        found.append(fields)
    return json_response(found, head=read_head(store.sessions.index, meta))
