"""The page's own reasoning, run in the browser it is made for: addresses, bytes, JSON, differences, Docker's keys."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from seeding import DOCKER_KEYS, LOCK_FLAGS, NETWORK

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)")
pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[2] / "ui"
MODULES = ("paths", "bytes", "json", "diff", "filter", "format", "kv", "docker", "api")


@pytest.fixture(scope="module")
def logic(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Calls a function of a module with JSON values: ``logic("paths.keyPath", "dc1", "a/b")``."""
    bundler = SOURCES / "node_modules" / ".bin" / "esbuild"
    if shutil.which("node") is None or not bundler.exists():
        pytest.skip("the sources' tools are not installed: run `npm ci` in ui/")
    folder = tmp_path_factory.mktemp("logic")
    exports = "\n".join(f'export * as {name} from "{SOURCES / "src" / name}";' for name in MODULES)
    (folder / "entry.ts").write_text(exports)
    command = [str(bundler), "entry.ts", "--bundle", "--format=iife", "--global-name=T", "--outfile=out.js"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NODE_PATH": str(SOURCES / "node_modules")},
    )
    assert done.returncode == 0, done.stderr
    page = browser.new_page()
    page.evaluate((folder / "out.js").read_text().replace("var T =", "window.T =", 1))

    def run(function: str, *arguments: Any) -> Any:
        module, name = function.split(".")
        script = """([module, name, list]) => {
            const result = window.T[module][name](...list);
            return result instanceof Uint8Array ? [...result] : result;
        }"""
        return page.evaluate(script, [module, name, list(arguments)])

    run.page = page  # type: ignore[attr-defined]
    yield run
    page.close()


def route(logic: Any, path: str, query: str = "", fragment: str = "") -> tuple[dict[str, Any], str | None]:
    script = "([p, q, h]) => { const f = window.T.paths.findRoute(p, new URLSearchParams(q), h); return f; }"
    found = logic.page.evaluate(script, [path, query, fragment])
    return found["route"], found.get("moved")


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "a/b",
        "create",
        "edit",
        "a/edit",
        "a/create",
        "50% ünï?#",
        "a b+c&d=e",
        "/lead",
        "a//b",
        "end/",
        "../x",
        "a/./b",
        "日本/語",
        "%2F",
        "x/edit/",
        "kv",
        "a\\b",
    ],
)
def test_every_key_has_an_address_that_leads_to_it(logic: Any, key: str) -> None:
    path = logic("paths.keyPath", "dc1", key)
    # As a browser would: through the address bar and back.
    script = "(path) => { const u = new URL('http://h/ui/' + path); return [u.pathname.slice(4), u.search]; }"
    pathname, query = logic.page.evaluate(script, path)
    found, moved = route(logic, pathname, query)
    assert (found["page"], found["key"], moved) == ("key", key, None)


@pytest.mark.parametrize("prefix", ["", "a/", "a/b/", "/", "a//", "50% ü?#/", "../", "create/", "edit/"])
def test_every_folder_has_an_address_that_leads_to_it(logic: Any, prefix: str) -> None:
    script = "(path) => { const u = new URL('http://h/ui/' + path); return [u.pathname.slice(4), u.search]; }"
    pathname, query = logic.page.evaluate(script, logic("paths.folderPath", "dc1", prefix))
    assert route(logic, pathname, query)[0] == {"page": "folder", "dc": "dc1", "prefix": prefix}
    pathname, query = logic.page.evaluate(script, logic("paths.createPath", "dc1", prefix))
    assert route(logic, pathname, query)[0] == {"page": "create", "dc": "dc1", "prefix": prefix}


@pytest.mark.parametrize(
    ("path", "fragment", "moved"),
    [
        ("", "#/dc1/kv/docker/nodes/", "dc1/kv/docker/nodes/"),
        ("", "#/dc1/kv/some/key", "dc1/kv/some/key/edit"),
        ("", "#/dc1/kv/some/key/edit", "dc1/kv/some/key/edit"),
        ("", "#/dc1/services/web", "dc1/services/web"),
        ("", "#/dc1/settings", "settings"),
        ("", "#/dc1/acls/x", "dc1/acls/tokens"),
        ("_part/dc1/nodes", "", "dc1/nodes"),
        ("dc1/services/web/n1/web-1", "", "dc1/services/web/instances/n1/web-1/health-checks"),
    ],
)
def test_old_addresses(logic: Any, path: str, fragment: str, moved: str) -> None:
    assert route(logic, path, "", fragment)[1] == moved


def test_a_double_slash_before_create_is_one_folder(logic: Any) -> None:
    assert route(logic, "dc1/kv/folder//create")[0]["prefix"] == "folder/"
    assert route(logic, "dc1/kv/folder/create")[0]["prefix"] == "folder/"


@pytest.mark.parametrize("data", [b"", b"a", b"ab", bytes(range(256)), b"\xff" * 100_000])
def test_bytes_survive_base64(logic: Any, data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert bytes(logic("bytes.fromBase64", text)) == data
    script = "(text) => window.T.bytes.toBase64(window.T.bytes.fromBase64(text))"
    assert logic.page.evaluate(script, text) == text
    assert logic("kv.valueSize", text) == len(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"caf\xc3\xa9\r\n", "café\r\n"), (b"\xff", None), (b"\0", None), (b"\xef\xbb\xbfx", "\ufeffx"), (b"", "")],
)
def test_text_is_only_what_is_text(logic: Any, data: bytes, text: str | None) -> None:
    script = "(b) => window.T.bytes.asText(window.T.bytes.fromBase64(b))"
    assert logic.page.evaluate(script, base64.b64encode(data).decode()) == text


def test_numbers_beyond_doubles_stay_exact(logic: Any) -> None:
    parsed = logic("api.parse", f'[{{"Key":"\\"Flags\\":1","Flags":{LOCK_FLAGS},"ModifyIndex":7}}]')
    assert parsed == [{"Key": '"Flags":1', "Flags": str(LOCK_FLAGS), "ModifyIndex": 7}]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("{", 1, 2),
        ('{"a":1,}', 1, 8),
        ("[1,\n2,\n x]", 3, 2),
        ('{"a" 1}', 1, 6),
        ("", 1, 1),
        ("1 2", 1, 3),
        ('["\t"]', 1, 2),
        ("[01]", 1, 3),
        ("{]", 1, 2),
        ("[1}", 1, 3),
    ],
)
def test_where_json_stops_being_json(logic: Any, text: str, line: int, column: int) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    problem = logic("json.jsonProblem", text)
    assert (problem["line"], problem["column"]) == (line, column)


@pytest.mark.parametrize(
    "text", ['{"b":1,"a":[],"c":{},"d":[1,{"x":"a:b,{c}\\""}],"e":12345678901234567890.50}', "null", "[[],[[]]]"]
)
def test_formatting_changes_only_blanks(logic: Any, text: str) -> None:
    formatted = logic("json.formatJson", text)
    assert json.loads(formatted) == json.loads(text)
    assert formatted == json.dumps(json.loads(text), indent=2) or "12345678901234567890.50" in formatted
    assert logic("json.formatJson", formatted, True) == text
    assert "".join(piece["text"] for piece in logic("json.jsonPieces", formatted)) == formatted


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("", ""),
        ("a", "b"),
        ("a\nb\nc", "a\nc"),
        ("a\nc", "a\nb\nc"),
        ("x\na\nb", "a\nb\ny"),
        ("1\n2\n3\n4", "4\n3\n2\n1"),
        ("\n\n", "\n"),
    ],
)
def test_a_difference_gives_both_sides_back(logic: Any, left: str, right: str) -> None:
    lines = logic("diff.diffLines", left, right)
    assert "\n".join(each["text"] for each in lines if each["kind"] != "new") == left
    assert "\n".join(each["text"] for each in lines if each["kind"] != "gone") == right
    assert [each["left"] for each in lines if each["left"]] == list(range(1, left.count("\n") + 2))


def test_search_words(logic: Any) -> None:
    script = """([search, row]) => window.T.filter.matcher(search, ['tag', 'status'])(row)"""
    row = {"text": "web frontend two words", "fields": {"tag": ["v1", "blue"], "status": ["critical"]}}
    for search, hit in (
        ("", True),
        ("WEB", True),
        ("web -front", False),
        ('"two words"', True),
        ('"words two"', False),
        ("tag:v1", True),
        ("tag:green", False),
        ("-tag:green status:crit", True),
        ("http://x", False),
    ):
        assert logic.page.evaluate(script, [search, row]) is hit, search


def entries() -> list[dict[str, Any]]:
    found = [{"Key": i["key"], "Value": i["value"], "Flags": str(i["flags"]), "ModifyIndex": 1} for i in DOCKER_KEYS]
    for host in ("80", "81"):
        key = f"docker/nodes/192.168.10.{host}:2375"
        found.append({"Key": key, "Value": "", "Flags": "0", "ModifyIndex": 1, "Session": "s"})
    return found


def test_what_three_real_engines_stored_is_understood(logic: Any) -> None:
    docker = logic("docker.decodeDocker", entries(), "docker/")
    assert [engine["host"] for engine in docker["engines"]] == ["192.168.10.80", "192.168.10.81"]
    [network] = docker["networks"]
    assert (network["id"], network["name"], network["driver"]) == (NETWORK, "prod_net", "overlay")
    assert network["subnets"] == [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1/24", "vni": 256}]
    assert (network["counter"], len(network["endpoints"]), network["problems"]) == (3, 3, [])
    assert docker["pools"] == [{"subnet": "10.0.0.0/24", "total": 256, "used": 6}]
    problems = {endpoint["host"]: endpoint["problems"] for endpoint in docker["endpoints"]}
    assert problems["192.168.10.80"] == [] and problems["192.168.10.82"] == ["its engine is not registered"]
    assert docker["strays"] == []


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b"7",
        b'{"ipamV4Info":"[{"}',
        b'{"name":{},"ipamV4Info":[{"IPAMData":3}]}',
        b"\xff\xfe",
    ],
)
def test_strange_values_are_problems_and_no_errors(logic: Any, value: bytes) -> None:
    text = base64.b64encode(value).decode()
    strange = [{**entry, "Value": text} for entry in entries()]
    docker = logic("docker.decodeDocker", strange, "docker/")
    assert len(docker["networks"]) == 1
    assert docker["networks"][0]["problems"]


def test_large_changes_are_packed_into_transactions(logic: Any) -> None:
    groups = [[{"verb": "cas", "key": f"k{n}"}, {"verb": "delete-cas", "key": f"o{n}"}] for n in range(100)]
    packed = logic("kv.batches", groups)
    assert [len(batch) for batch in packed] == [32, 32, 32, 4]
    assert [group for batch in packed for group in batch] == groups
