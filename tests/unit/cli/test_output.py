"""Columns, tabs, JSON, log lines, base64 and paths."""

from __future__ import annotations

import base64
import io
import json
import re
import socket

import pytest
from canned_agent import CannedAgent
from hypothesis import given
from hypothesis import strategies as st

from pyconsul_cli.command import Io
from pyconsul_cli.commands.kv_transfer import clean_path
from pyconsul_cli.go_json import explain
from pyconsul_cli.inputs import decode_base64
from pyconsul_cli.main import main
from pyconsul_cli.output import columns, log_line, tabs, to_json


def test_columns_are_padded_but_for_the_last() -> None:
    assert columns([("Node", "ID"), (" a-long-one ", "x"), ("é", "")]) == "Node        ID\na-long-one  x\né          "
    assert columns([]) == ""


def test_tabs_leave_the_last_cell_alone() -> None:
    assert tabs([("api", "x,y"), ("web-1", "")]) == "api        x,y\nweb-1      "


def test_json_escapes_markup_and_indents() -> None:
    assert to_json({"a": "<&>\u2028é"}, indent=None) == '{"a":"\\u003c\\u0026\\u003e\\u2028é"}'
    assert to_json([1, {}, []], indent="\t") == "[\n\t1,\n\t{},\n\t[]\n]"


def test_log_line_has_a_time_and_a_padded_level() -> None:
    line = log_line("WARN", "x: y")
    assert line.endswith(" [WARN]  x: y")
    assert line[10] == "T" and line[23] in "Z+-"


@given(st.binary(max_size=60))
def test_base64_of_anything_is_read_back(data: bytes) -> None:
    encoded = base64.encodebytes(data)
    assert decode_base64(encoded) == (data, "")


@pytest.mark.parametrize(
    ("text", "data", "mistake"),
    [
        (b"!!!", b"", "illegal base64 data at input byte 0"),
        (b"aGVsbG8", b"hel", "illegal base64 data at input byte 7"),
        (b"aGVs!", b"hel", "illegal base64 data at input byte 4"),
        (b"aGVsbG8=x", b"hel", "illegal base64 data at input byte 8"),
        (b"====", b"", "illegal base64 data at input byte 0"),
        (b"", b"", ""),
    ],
)
def test_base64_mistakes_are_named_by_their_place(text: bytes, data: bytes, mistake: str) -> None:
    assert decode_base64(text) == (data, mistake)


@given(st.binary(max_size=30))
def test_base64_never_fails_on_other_bytes(data: bytes) -> None:
    decoded, mistake = decode_base64(data)
    assert mistake or base64.b64decode(data) == decoded


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("a/b", "a/b"),
        ("a//b/", "a/b"),
        ("/a/", "/a"),
        ("a/./b/../c", "a/c"),
        ("../a", "../a"),
        ("/../a", "/a"),
        ("", ""),
        ("a/..", "."),
    ],
)
def test_paths_are_cleaned_as_go_does(path: str, cleaned: str) -> None:
    assert clean_path(path) == cleaned


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("", "unexpected end of JSON input"),
        ("[1", "unexpected end of JSON input"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ("[1 2]", "invalid character '2' after array element"),
        ('{"a":1 2}', "invalid character '2' after object key:value pair"),
        ("[] x", "invalid character 'x' after top-level value"),
        ("nope", "invalid character 'n' looking for beginning of value"),
    ],
)
def test_json_mistakes_in_gos_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        json.loads(text)
    assert explain(text.encode(), caught.value) == reason


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "painted"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({}, False)],
)
def test_colours_on_a_terminal_only_and_if_wanted(agent: CannedAgent, environ: dict[str, str], painted: bool) -> None:
    server = {"role": "consul", "build": "1.16.1:", "vsn": "2", "dc": "dc1", "segment": ""}
    found = [
        {"Name": "good", "Addr": "127.0.0.1", "Port": 8301, "Status": 1, "Tags": server},
        {"Name": "failed", "Addr": "127.0.0.2", "Port": 8301, "Status": 4, "Tags": server},
    ]
    agent.says("GET /v1/agent/members", found)
    plain, coloured = io.BytesIO(), Terminal()
    for stdout in (plain, coloured):
        assert main(["members"], Io(io.BytesIO(), stdout, io.BytesIO()), {**agent.environ, **environ}) == 0
    shown = coloured.getvalue().decode()
    assert ("\x1b[1mNode " in shown and "\x1b[32malive\x1b[0m" in shown and "\x1b[31mfailed\x1b[0m" in shown) is painted
    assert re.sub(r"\x1b\[\d+m", "", shown) == plain.getvalue().decode()
    assert "\x1b" not in plain.getvalue().decode()


@pytest.mark.parametrize(("stderr", "hint"), [(Terminal(), True), (io.BytesIO(), False)])
def test_an_unreachable_agent_is_explained_on_a_terminal(stderr: io.BytesIO, hint: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    code = main(["members"], Io(io.BytesIO(), io.BytesIO(), stderr), {"CONSUL_HTTP_ADDR": address})
    said = stderr.getvalue().decode()
    assert code == 1 and said.splitlines()[0].endswith(f"dial tcp {address}: connect: connection refused")
    assert ("CONSUL_HTTP_ADDR" in said) is hint
