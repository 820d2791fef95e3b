"""``/v1/internal/ui/sessions``: what sessions hold and how long they last."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.clock import SystemClock
from pyconsul.testing.local_backend import LocalBackend


async def ask(app: App, method: str, target: str, body: bytes = b"") -> Any:
    answer: Any = app.handle(Request(method.encode(), target.encode(), {}, body, len(body)))
    if hasattr(answer, "__await__"):
        answer = await answer
    if hasattr(answer, "then"):
        got: list[Any] = []
        answer.then(got.append)
        while not got:
            await asyncio.sleep(0)
        answer = got[0]
    return json.loads(answer.body)


async def test_each_session_with_its_keys_and_the_time_it_has_left() -> None:
    app = App(Api(LocalBackend(), HttpSettings(), EventBuffer(), SystemClock(), random.Random(1)))
    with_ttl = (await ask(app, "PUT", "/v1/session/create", b'{"TTL":"30s"}'))["ID"]
    without = (await ask(app, "PUT", "/v1/session/create", b'{"Name":"no end"}'))["ID"]
    assert await ask(app, "PUT", f"/v1/kv/b?acquire={with_ttl}", b"1") is True
    assert await ask(app, "PUT", f"/v1/kv/a?acquire={with_ttl}", b"1") is True
    found = {each["ID"]: each for each in await ask(app, "GET", "/v1/internal/ui/sessions?stale")}
    assert found[with_ttl]["HeldKeys"] == ["a", "b"]
    assert 55_000 < found[with_ttl]["ExpiresInMs"] <= 60_000
    assert (found[without]["HeldKeys"], found[without]["ExpiresInMs"]) == ([], None)
    plain = await ask(app, "GET", "/v1/session/list")
    assert {each["ID"] for each in plain} == set(found)
