"""Handlers without sockets: a request in, an answer out."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from base64 import b64encode
from typing import Any

import pytest

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.params import Flags, Query
from pyconsul.api.request import Request
from pyconsul.api.response import Deferred, Response
from pyconsul.clock import SystemClock
from pyconsul.errors import (
    ApplyError,
    DiskFullError,
    LeadershipLostError,
    NoLeaderError,
    OverloadedError,
    PyconsulError,
    RpcError,
)
from pyconsul.fsm.commands import AnyCommand, KVSet
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.testing.local_backend import LocalBackend, LocalConsensus


class Site:
    """An App over a backend in memory."""

    def __init__(self, settings: HttpSettings | None = None) -> None:
        self.backend = LocalBackend()
        self.events = EventBuffer()
        self.api = Api(self.backend, settings or HttpSettings(), self.events, SystemClock(), random.Random(1))
        self.app = App(self.api)
        self.backend.agent.deliver = lambda name, payload, time: self.events.receive(name, payload, time, "local", {})

    async def ask(
        self, method: str, target: str | bytes, body: bytes = b"", headers: dict[str, str] | None = None, peer: str = ""
    ) -> Response:
        target = target.encode() if isinstance(target, str) else target
        wire_headers = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
        self.request = Request(method.encode(), target, wire_headers, body, len(body), peer)
        answer: Any = self.app.handle(self.request)
        if asyncio.iscoroutine(answer):
            try:
                answer = await answer
            except Exception as error:
                answer = self.app.failed(error)
        if isinstance(answer, Deferred):
            future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            answer.then(future.set_result)
            answer = await asyncio.wait_for(future, 10)
        assert isinstance(answer, Response)
        return answer

    async def wire(self, method: str, target: str, **more: Any) -> bytes:
        answer = await self.ask(method, target, **more)
        return self.app.wire(self.request, answer, keep_alive=True)


async def test_a_key_is_written_read_and_deleted() -> None:
    site = Site()
    assert (await site.ask("PUT", "/v1/kv/a?flags=18446744073709551615", b"x")).body == b"true"
    answer = await site.ask("GET", "/v1/kv/a")
    index = site.backend.consensus.machine.applied_index
    assert json.loads(answer.body) == [
        {
            "LockIndex": 0,
            "Key": "a",
            "Flags": 18446744073709551615,
            "Value": "eA==",
            "CreateIndex": index,
            "ModifyIndex": index,
        }
    ]
    assert b"X-Consul-Index: %d\r\n" % index in answer.head
    assert (await site.ask("DELETE", "/v1/kv/a")).body == b"true"
    assert (await site.ask("GET", "/v1/kv/a")).status == 404


async def test_a_raw_value_cannot_run_as_a_page() -> None:
    site = Site()
    await site.ask("PUT", "/v1/kv/page", b"<script>alert(1)</script>")
    answer = await site.ask("GET", "/v1/kv/page?raw")
    assert answer.body == b"<script>alert(1)</script>"
    assert b"Content-Type: text/plain\r\n" in answer.head
    assert b"X-Content-Type-Options: nosniff\r\n" in answer.head
    assert b"Content-Security-Policy: sandbox\r\n" in answer.head


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/v1//kv/a", 301, b"/v1/kv/a"),
        ("/v1/kv/a/../b?raw", 301, b"/v1/kv/b?raw"),
        ("/../../v1/kv/a", 301, b"/v1/kv/a"),
        ("/v1/kv/%2e%2E/x", 301, b"/v1/x"),
        ("//", 301, b"/"),
        ("///v1/kv/%3Cb%3E%20%25//", 301, b"/v1/kv/%3Cb%3E%20%25/"),
        ("/v1/kv/a/..", 301, b"/v1/kv/"),
        ("/v1/kv", 301, b"/v1/kv/"),
        ("/v1/kv/a/.b", 404, b""),
        ("/v1/kv/a...", 404, b""),
        ("/v1/kv/a/", 404, b""),
    ],
)
async def test_paths_are_cleaned_by_redirect(target: str, status: int, location: bytes) -> None:
    site = Site()
    answer = await site.ask("GET", target)
    assert answer.status == status
    assert (b"Location: " + location in answer.head) == bool(location)


async def test_a_redirect_shows_no_markup_of_the_path() -> None:
    answer = await Site().ask("GET", '/v1//kv/<script>?"><script>&')
    assert b"<script>" not in answer.body
    assert b"&amp;" in answer.body


@pytest.mark.parametrize("settings", [HttpSettings(), HttpSettings(disable_http_unprintable_char_filter=True)])
async def test_unprintable_characters(settings: HttpSettings) -> None:
    site = Site(settings)
    status = 404 if settings.disable_http_unprintable_char_filter else 400
    for path in ("%00", "%7F", "%C2%A0", "%E2%80%8B", "%EE%80%80"):
        assert (await site.ask("GET", f"/v1/kv/a{path}")).status == status
    assert (await site.ask("GET", "/v1/kv/%FF%20%C3%BC")).status == 404


async def test_order_of_complaints() -> None:
    site = Site(HttpSettings(block_endpoints=["/v1/event"], allow_write_http_from=["10.0.0.0/8"]))
    assert (await site.ask("GET", "/v1/nothing?%zz")).status == 404
    assert (await site.ask("GET", "/v1/event/list?%zz")).status == 500
    assert (await site.ask("OPTIONS", "/v1/event/list")).status == 403
    assert (await site.ask("POST", "/v1/kv/a", peer="127.0.0.1")).status == 405
    refused = await site.ask("PUT", "/v1/kv/", peer="127.0.0.1")
    assert (refused.status, refused.body) == (403, b"Access is restricted")
    assert (await site.ask("PUT", "/v1/kv/", peer="10.1.2.3")).body == b"Missing key name"
    assert (await site.ask("PUT", "/v1/kv/a", peer="::ffff:10.1.2.3")).body == b"true"
    assert (await site.ask("GET", "/v1/kv/a", peer="127.0.0.1")).status == 200


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/v1/kv/a?max_stale=x&stale&consistent&wait=x&index=x&ns=x", b'Invalid max_stale value "x"'),
        (
            "/v1/kv/a?stale&consistent&cached&wait=x",
            b"Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        ("/v1/kv/a?cached&consistent&wait=x", b"Cannot specify ?cached with ?consistent, conflicting semantics."),
        ("/v1/kv/a?wait=x&index=x", b"Invalid wait time"),
        ("/v1/kv/a?index=-1&ns=x", b"Invalid index"),
        (
            "/v1/kv/a?ns=default",
            b'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
        ),
        ("/v1/kv/?ns=default", b"Missing key name"),
    ],
)
async def test_parameters_of_reads(target: str, text: bytes) -> None:
    answer = await Site().ask("GET", target)
    assert (answer.status, answer.body) == (400, text)


async def test_numbers_and_conflicts_of_writes() -> None:
    site = Site()
    answer = await site.ask("PUT", '/v1/kv/a?cas=%22x%5C"')
    assert (answer.status, answer.body) == (500, rb'strconv.ParseUint: parsing "\"x\\\"": invalid syntax')
    answer = await site.ask("PUT", "/v1/kv/a?flags=3&cas=0&acquire=a+b")
    assert (answer.status, answer.body) == (400, b"Conflicting flags: acquire=a+b&cas=0&flags=3")
    answer = await site.ask("DELETE", "/v1/kv/?recurse&cas=1")
    assert (answer.status, answer.body) == (400, b"Conflicting flags: cas=1&recurse=")


async def test_an_unknown_datacenter() -> None:
    site = Site()
    for method, target in (("GET", "/v1/kv/a"), ("PUT", "/v1/kv/a"), ("PUT", "/v1/session/create")):
        answer = await site.ask(method, f"{target}?dc=nowhere")
        assert (answer.status, answer.body) == (500, b"No path to datacenter")
    assert (await site.ask("GET", "/v1/kv/a?dc=dc1")).status == 404


async def test_gzip_and_pretty() -> None:
    site = Site()
    await site.ask("PUT", "/v1/kv/a", b"x" * 2000)
    data = await site.wire("GET", "/v1/kv/a?pretty", headers={"Accept-Encoding": "deflate, gzip;q=0.5"})
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head and b"Content-Length: %d" % len(body) in head
    assert gzip.decompress(body).endswith(b"    }\n]\n")
    for refused in ("gzip;q=0", "gzip;q=x", "deflate", "xgzip"):
        assert b"Content-Encoding" not in await site.wire("GET", "/v1/kv/a", headers={"Accept-Encoding": refused})


async def test_head_has_no_body_and_says_how_long_it_would_be() -> None:
    data = await Site().wire("HEAD", "/v1/kv/a")
    assert data.startswith(b"HTTP/1.1 405 ")
    assert b"Content-Length: 23\r\n" in data and data.endswith(b"\r\n\r\n")


async def test_configured_headers_cannot_break_out() -> None:
    site = Site(HttpSettings(response_headers={"x-a\r\nb": "1\r\nSet-Cookie: x"}))
    data = await site.wire("GET", "/v1/nothing")
    assert b"X-Ab: 1  Set-Cookie: x\r\n" in data


async def test_a_reload_takes_new_settings() -> None:
    site = Site()
    site.app.configure(HttpSettings(block_endpoints=["/v1/kv"]))
    assert (await site.ask("GET", "/v1/kv/a")).status == 403


async def test_session_bodies() -> None:
    site = Site()
    for body, status, text in (
        (b'{"TTL":"5s"}', 500, b"Invalid Session TTL '5000000000', must be between [10s=24h0m0s]"),
        (b'{"TTL":"abc"}', 500, b"Session TTL 'abc' invalid: time: invalid duration \"abc\""),
        (b'{"Behavior":"x"}', 500, b"Invalid Behavior setting 'x'"),
        (b'{"Node":""}', 500, b"Must provide Node"),
        (b'{"Node":"other"}', 500, b"apply failed: Missing node registration"),
        (b"{", 400, b"Request decode failed: unexpected EOF"),
        (b"[]", 400, b"Request decode failed: json: cannot unmarshal array into Go value of type object"),
        (b"[" * 100_000, 400, b"Request decode failed: exceeded max depth"),
        (b"1" * 100_000, 400, None),
    ):
        answer = await site.ask("PUT", "/v1/session/create", body)
        assert answer.status == status, body[:50]
        assert text is None or answer.body == text
    answer = await site.ask("PUT", "/v1/session/create", b'{"name":"a","NAME":"b","ttl":"10s","Unknown":1} trailing')
    session_id = json.loads(answer.body)["ID"]
    shown = json.loads((await site.ask("GET", f"/v1/session/info/{session_id.upper()}")).body)
    assert (shown[0]["Name"], shown[0]["TTL"]) == ("b", "10s")
    site.backend.consensus.close()


async def test_an_answer_of_another_server_is_prefixed() -> None:
    site = Site()
    site.api.consensus = Failing(ApplyError("invalid session"), forwarded=True)
    answer = await site.ask("PUT", "/v1/kv/a")
    assert (answer.status, answer.body) == (500, b"rpc error making call: raft apply failed: invalid session")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoLeaderError(), b"No cluster leader"),
        (LeadershipLostError(), b"leadership lost while committing log"),
        (OverloadedError("too many writes"), b"too many writes"),
        (RpcError("connection refused", sent=False), b"rpc error making call: connection refused"),
        (RpcError("rpc error getting client: x", sent=False), b"rpc error getting client: x"),
        (DiskFullError("no space left on /data"), b"no space left on /data"),
        (ZeroDivisionError("secret"), b"internal error"),
    ],
)
async def test_errors_become_answers(error: Exception, text: bytes) -> None:
    site = Site()
    site.api.consensus = Failing(error)
    for method, target in (
        ("PUT", "/v1/kv/a"),
        ("GET", "/v1/kv/a"),
        ("PUT", "/v1/session/create"),
        ("GET", "/v1/session/list"),
        ("GET", "/v1/catalog/nodes"),
        ("PUT", "/v1/event/fire/x"),
    ):
        answer = await site.ask(method, target)
        assert (answer.status, answer.body) == (503 if isinstance(error, OverloadedError) else 500, text), target
    body = json.dumps([{"KV": {"Verb": "get", "Key": "a"}}]).encode()
    assert (await site.ask("PUT", "/v1/txn", body)).body == text


class Failing(LocalConsensus):
    """A consensus that answers everything with one error."""

    def __init__(self, error: Exception, forwarded: bool = False) -> None:
        super().__init__(SystemClock(), "local", "id", "127.0.0.1:8300")
        self._error = error
        if forwarded:
            error.forwarded = True  # type: ignore[attr-defined]

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        return None

    def read_then(self, mode: ReadMode, done: Any) -> None:
        if not isinstance(self._error, PyconsulError):
            raise self._error
        asyncio.get_running_loop().call_soon(done, self._error)

    async def read(self, mode: ReadMode) -> ReadMeta:
        raise self._error

    def submit(self, command: AnyCommand, done: Any) -> None:
        asyncio.get_running_loop().call_soon(done, self._error)

    def apply(self, command: AnyCommand) -> object:
        return None


async def test_a_read_that_has_to_wait_for_its_leader() -> None:
    site = Site()

    class Later(LocalConsensus):
        def read_now(self, mode: ReadMode) -> ReadMeta | None:
            return None

        def read_then(self, mode: ReadMode, done: Any) -> None:
            meta = ReadMeta(True, 7 if mode is ReadMode.STALE else 0, False)
            asyncio.get_running_loop().call_soon(done, meta)

    later = Later(SystemClock(), "local", "id", "127.0.0.1:8300")
    later.apply(KVSet(b"a", b"1"))
    site.api.consensus = later
    assert (await site.ask("GET", "/v1/kv/a?raw&stale")).body == b"1"
    assert b"X-Consul-Lastcontact: 7\r\n" in (await site.ask("GET", "/v1/kv/a?stale")).head


async def test_events() -> None:
    site = Site()
    fired = json.loads((await site.ask("PUT", "/v1/event/fire/deploy/now?node=loc", b"\x00x")).body)
    assert (fired["Name"], fired["Payload"], fired["LTime"]) == ("deploy/now", b64encode(b"\x00x").decode(), 0)
    await site.ask("PUT", "/v1/event/fire/other?node=elsewhere")
    await site.ask("PUT", "/v1/event/fire/_rexec")
    await asyncio.sleep(0)
    listed = json.loads((await site.ask("GET", "/v1/event/list")).body)
    assert [event["ID"] for event in listed] == [fired["ID"]]
    assert listed[0]["LTime"] == 1
    answer = await site.ask("PUT", "/v1/event/fire/x", b"x" * 513)
    assert answer.status == 500 and b"user event exceeds configured limit" in answer.body
    answer = await site.ask("PUT", "/v1/event/fire/x?node=(")
    assert answer.status == 500 and answer.body.startswith(b"Invalid node filter: error parsing regexp: ")


async def test_only_the_last_256_events_are_kept() -> None:
    site = Site()
    for number in range(300):
        await site.ask("PUT", f"/v1/event/fire/e{number}")
        await asyncio.sleep(0)
    listed = json.loads((await site.ask("GET", "/v1/event/list")).body)
    assert [listed[0]["Name"], listed[-1]["Name"], len(listed)] == ["e44", "e299", 256]


async def test_events_of_gossip_that_are_none_are_dropped() -> None:
    events = EventBuffer()
    assert events.receive("consul:event:x", b"\xff\x00garbage", 1, "n", {}) is None
    assert events.receive("consul:new-leader", b"x", 1, "n", {}) is None
    assert len(events) == 0


async def test_tokens_are_taken_from_three_places() -> None:
    site = Site()
    for target, headers, token in (
        ("/v1/kv/a?token=q", {"X-Consul-Token": "h", "Authorization": "Bearer b"}, "q"),
        ("/v1/kv/a", {"X-Consul-Token": "h", "Authorization": "Bearer b"}, "h"),
        ("/v1/kv/a", {"Authorization": "bearer b"}, "b"),
        ("/v1/kv/a", {"Authorization": "Basic b"}, ""),
        ("/v1/kv/a", {}, ""),
    ):
        await site.ask("GET", target, headers=headers)
        assert site.request.token == token


async def test_catalog_and_health() -> None:
    site = Site()
    body = json.dumps(
        {
            "Node": "n1",
            "Address": "10.0.0.1",
            "NodeMeta": {"rack": "1"},
            "Service": {"Service": "web", "Tags": ["A"], "Port": 80, "Weights": {"Passing": 0}},
            "Checks": [{"Name": "c", "ServiceID": "web", "Status": "passing", "Definition": {"TTL": "10s", "X": 1}}],
        }
    ).encode()
    assert (await site.ask("PUT", "/v1/catalog/register", body)).body == b"true"

    async def get(target: str) -> Any:
        answer = await site.ask("GET", target)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    assert [node["Node"] for node in await get("/v1/catalog/nodes")] == ["local", "n1"]
    assert [node["Node"] for node in await get("/v1/catalog/nodes?node-meta=rack:1")] == ["n1"]
    assert await get("/v1/catalog/services") == {"consul": [], "web": ["A"]}
    assert await get("/v1/catalog/services?node-meta=rack:1") == {"web": ["A"]}
    [instance] = await get("/v1/catalog/service/web?tag=a")
    assert instance["ServiceWeights"] == {"Passing": 1, "Warning": 1}
    assert await get("/v1/catalog/service/web?tag=b") == []
    assert (await get("/v1/catalog/node/n1"))["Services"]["web"]["Port"] == 80
    assert await get("/v1/catalog/node/none") is None
    [check] = await get("/v1/health/checks/web")
    assert (check["Type"], check["Definition"]) == ("ttl", {"TTL": 10_000_000_000})
    assert len(await get("/v1/health/service/web?passing")) == 1
    assert (await site.ask("GET", "/v1/health/service/web?passing=x")).body == b"Invalid value for ?passing"
    assert [check["CheckID"] for check in await get("/v1/health/state/any?node-meta=rack:1")] == ["c"]
    assert [check["CheckID"] for check in await get("/v1/health/node/local")] == ["serfHealth"]
    answer = await site.ask("PUT", "/v1/catalog/register", b'{"Node":"n1","Addres":"x"}')
    assert (answer.status, answer.body) == (400, b'Request decode failed: json: unknown field "Addres"')
    for body, text in (
        (b"{}", b"Must provide node"),
        (b'{"Node":"x"}', b"Must provide address if SkipNodeUpdate is not set"),
        (b'{"Node":"x","Address":"1","ID":"y"}', b"Bad node ID: uuid string is wrong length"),
        (b'{"Node":"x","Address":"1","Service":{"ID":"y"}}', b"Must provide service name with ID"),
        (b'{"Node":"x","Address":"1","Datacenter":"y"}', b"No path to datacenter"),
    ):
        answer = await site.ask("PUT", "/v1/catalog/register", body)
        assert (answer.status, answer.body) == (500, text)
    assert (await site.ask("PUT", "/v1/catalog/deregister", b'{"Node":"n1"}')).body == b"true"
    assert await get("/v1/health/service/web") == []


async def test_agent_and_operator() -> None:
    site = Site()
    members = json.loads((await site.ask("GET", "/v1/agent/members")).body)
    assert [(member["Name"], member["Status"]) for member in members] == [("local", 1)]
    members = json.loads((await site.ask("GET", "/v1/agent/members?wan=0")).body)
    assert [member["Name"] for member in members] == ["local.dc1"]
    assert (await site.ask("GET", "/v1/agent/members?segment=x")).status == 500
    assert (await site.ask("GET", "/v1/agent/members?segment=x&wan=1")).status == 400
    assert json.loads((await site.ask("GET", "/v1/agent/self")).body)["Config"]["NodeName"] == "local"
    assert (await site.ask("PUT", "/v1/agent/join/127.0.0.1")).status == 200
    assert (await site.ask("PUT", "/v1/agent/join/10.9.9.9")).status == 500
    answer = await site.ask("PUT", "/v1/agent/force-leave/none")
    assert (answer.status, answer.body) == (500, b"agent: No node found with name 'none'")
    assert (await site.ask("PUT", "/v1/agent/reload")).status == 200
    assert (await site.ask("PUT", "/v1/agent/leave")).status == 200 and site.backend.agent.left
    [server] = json.loads((await site.ask("GET", "/v1/operator/raft/configuration")).body)["Servers"]
    assert (server["Node"], server["Leader"], server["ProtocolVersion"], server["Voter"]) == ("local", True, "3", True)


async def test_the_root_and_the_page() -> None:
    assert (await Site().ask("GET", "/")).body == b"Consul Agent"
    site = Site(HttpSettings(ui_enabled=True))
    assert b"Location: /ui/\r\n" in (await site.ask("GET", "/")).head
    assert (await site.ask("GET", "/ui/")).status == 404
    site.api.ui_handler = lambda request: Response(200, request.path)
    assert (await site.ask("GET", "/ui/index.html")).body == b"/ui/index.html"
    assert b"Location: /ui/\r\n" in (await site.ask("GET", "/ui")).head


class SlowClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


async def test_requests_above_the_rate_are_turned_away() -> None:
    site = Site()
    clock = SlowClock()
    site.api.clock = clock
    site.app.configure(HttpSettings(rpc_rate=2.0, rpc_max_burst=3))
    for _ in range(3):
        assert (await site.ask("PUT", "/v1/kv/a", b"1")).status == 200
    refused = await site.ask("PUT", "/v1/kv/a", b"1")
    assert (refused.status, refused.body, refused.head) == (429, b"", b"")
    read = await site.ask("GET", "/v1/catalog/nodes")
    assert read.status == 429 and b"X-Consul-Index: 1\r\n" in read.head
    assert (await site.ask("GET", "/v1/agent/services")).status == 200, "the agent's own do not count"
    clock.now += 0.5
    assert (await site.ask("GET", "/v1/kv/a")).status == 200
    assert (await site.ask("GET", "/v1/kv/a")).status == 429
    clock.now += 100.0
    assert [(await site.ask("GET", "/v1/kv/a")).status for _ in range(4)] == [200, 200, 200, 429]
    site.app.configure(HttpSettings())
    assert (await site.ask("GET", "/v1/kv/a")).status == 200


async def test_queries_that_are_kept_are_answered_as_the_first_time() -> None:
    site = Site()
    for key in ("a", "a/b"):
        await site.ask("PUT", f"/v1/kv/{key}", b"1")
    queries = ["recurse", "keys", "raw", "consistent", "stale", "pretty", "recurse&pretty", "stale&consistent"]
    queries += ["cached", "cached&consistent", "dc=", "dc=elsewhere", "%72aw", "raw;", ""]
    first = [await site.ask("GET", f"/v1/kv/a?{query}") for query in queries]
    again = [await site.ask("GET", f"/v1/kv/a?{query}") for query in queries]
    assert [(each.status, each.head, each.body) for each in first] == [
        (each.status, each.head, each.body) for each in again
    ]
    assert len({(each.status, each.body) for each in first}) >= 7


def test_no_more_than_some_queries_are_kept() -> None:
    flags = Flags()
    for number in range(2 * Flags.KEPT_MAX):
        raw = b"flag%d" % number
        flags.keep(raw, Query.parse(raw))
    flags.keep(b"a=1", Query.parse(b"a=1"))
    assert flags.find(b"flag0") is not None
    assert flags.find(b"flag%d" % Flags.KEPT_MAX) is None
    assert flags.find(b"a=1") is None
