"""The HTTP reference: each endpoint has a section with an example, and the examples are true."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from pyconsul.api.app import App
from pyconsul.api.context import Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import HttpSettings
from pyconsul.api.openapi_endpoints import ENDPOINTS
from pyconsul.api.request import Request
from pyconsul.api.response import Deferred, Response
from pyconsul.clock import SystemClock, seeded_random
from pyconsul.testing.local_backend import LocalBackend

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "http-api.md").read_text()
BLOCKS = re.findall(r"^```http( not run)?\n(.*?)^```$", REFERENCE, re.M | re.S)


def examples(block: str) -> list[tuple[str, str, str, int, str]]:
    """(method, target, body, status, answer) of each request in a block."""
    found = []
    for part in re.split(r"\n\n(?=[A-Z]+ /)", block.strip("\n")):
        request, _, answer = part.partition("\n→ ")
        status, _, shown = answer.partition("\n")
        line, _, body = request.partition("\n")
        method, _, target = line.partition(" ")
        found.append((method, target, body, int(status), shown))
    return found


ALL = [example for _, block in BLOCKS for example in examples(block)]


def headings(kind: str = "### ") -> dict[tuple[str, str], str]:
    """The text below the heading of each endpoint."""
    parts = re.split(rf"^{kind}`([A-Z]+) (/[^`]*)`$", REFERENCE, flags=re.M)[1:]
    return {(parts[at], parts[at + 1]): parts[at + 2] for at in range(0, len(parts), 3)}


def test_every_endpoint_has_a_section_with_an_example() -> None:
    documented = headings()
    wanted = {
        (method, path + (f"{{{endpoint.argument}}}" if endpoint.argument else ""))
        for (method, path), endpoint in ENDPOINTS.items()
    }
    assert set(documented) == wanted
    shown = {(method, target) for method, target, *_ in ALL}
    for method, path in wanted:
        beginning = path.partition("{")[0]
        assert any(each == method and target.startswith(beginning) for each, target in shown), f"{method} {path}"


@pytest.mark.timeout(30)
async def test_examples_are_true() -> None:
    backend = LocalBackend()
    api = Api(backend, HttpSettings(), EventBuffer(), SystemClock(), seeded_random(1))
    app = App(api)
    backend.agent.deliver = lambda name, payload, time: api.events.receive(name, payload, time, backend.node_name, {})
    for not_run, block in BLOCKS:
        for method, target, body, status, shown in [] if not_run else examples(block):
            request = Request(method.encode(), target.encode(), {}, body.encode(), len(body.encode()))
            answer = await answer_of(app, request)
            await asyncio.sleep(0)  # events are delivered on the next turn of the loop
            text = answer.body.decode()
            pattern = ".*".join(map(re.escape, shown.split("…")))
            assert answer.status == status, f"{method} {target}: {answer.status} {text}"
            assert re.fullmatch(pattern, text.strip("\n"), re.S), f"{method} {target}: {text}"


async def answer_of(app: App, request: Request) -> Response:
    answer = app.handle(request)
    if asyncio.iscoroutine(answer):
        try:
            answer = await answer
        except Exception as error:
            answer = app.failed(error)
    if isinstance(answer, Deferred):
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        answer.then(future.set_result)
        answer = await future
    assert isinstance(answer, Response)
    return answer


def test_titles_that_the_code_cites_are_there() -> None:
    package = Path(__file__).parents[3] / "pyconsul"
    titles = set(re.findall(r"^#+ (.+)$", REFERENCE, re.M))
    cited = {
        title
        for file in package.rglob("*.py")
        for words in re.findall(r'(?:HTTP reference|http-api\.md), ("[^"]+"(?: and "[^"]+")?)', file.read_text())
        for title in re.findall(r'"([^"]+)"', words)
    }
    assert cited <= titles, cited - titles
