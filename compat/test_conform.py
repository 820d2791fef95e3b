"""What the judge of recordings lets pass, and what it does not."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conform import main
from conform_match import Matcher, Mismatch, look_up, name_indexes, soften
from conform_run import Response, Run

ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def matcher(**scenario: Any) -> Matcher:
    return Matcher({"name": "x", "steps": [], **scenario}, ["http://127.0.0.1:1"])


@pytest.mark.parametrize(
    ("want", "got", "scenario"),
    [
        ({"a": 1, "b": [None, True]}, {"b": [None, True], "a": 1}, {}),
        ("id <uuid> at <time>", f"id {ID} at 2026-01-02T03:04:05.6Z", {}),
        ("<int>", "-12", {}),
        ("<any>", {"whatever": 1}, {}),
        ({"a": 1}, {"a": 2}, {"ignore": ["a"]}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, {"open": ["a"]}),
        ([1, 2, 3], [3, 1, 2], {"unordered": ["body"]}),
        ({"a": list(range(20))}, {"a": list(range(19, -1, -1))}, {"unordered": ["a"]}),
        ([{"$index": "i2"}, {"$index": "i1"}, {"$index": "i2"}], [90, 7, 90], {}),
    ],
)
def test_what_passes(want: Any, got: Any, scenario: dict[str, Any]) -> None:
    matcher(**scenario).match(want, got, "body")


@pytest.mark.parametrize(
    ("want", "got", "scenario", "why"),
    [
        ({"a": 1}, [], {}, "body: want an object, got []"),
        ({"a": 1}, {"a": 1, "b": 2}, {}, "body: fields that the reference does not send: ['b']"),
        ({"a": 1}, {}, {}, "body: field 'a' is missing"),
        ({"a": [1]}, {"a": [2]}, {}, "body.a[0]: want 1, got 2"),
        ([1], [1, 1], {}, "body: want 1 items, got 2: [1, 1]"),
        (1, True, {}, "body: want 1, got true"),
        (0, 0.0, {}, "body: want 0, got 0.0"),
        ("<uuid>", ID.upper(), {}, f"body: want '<uuid>', got {ID.upper()}"),
        ("a.c", "abc", {}, "body: want 'a.c', got abc"),
        ([1, 2], [2, 3], {"unordered": ["body"]}, "body: nothing matches 1: [2, 3]"),
        ([{"$index": "i1"}, {"$index": "i2"}], [7, 7], {}, "body[1]: index i2=7 is out of order with i1=7"),
        ([{"$index": "i1"}, {"$index": "i2"}], [7, 6], {}, "body[1]: index i2=6 is out of order with i1=7"),
        ([{"$index": "i1"}, {"$index": "i1"}], [7, 8], {}, "body[1]: index i1 was 7 before and is 8 here"),
        ({"$index": "i1"}, "x", {}, "body: want an index, got x"),
    ],
)
def test_what_differs(want: Any, got: Any, scenario: dict[str, Any], why: str) -> None:
    with pytest.raises(Mismatch) as caught:
        matcher(**scenario).match(want, got, "body")
    assert str(caught.value) == why


def test_an_order_that_indexes_rule_out_is_taken_back() -> None:
    want = [{"n": 1, "i": {"$index": "i1"}}, {"n": "<any>", "i": {"$index": "i2"}}]
    judge = matcher(unordered=["body"])
    judge.match(want, [{"n": 2, "i": 9}, {"n": 1, "i": 8}], "body")
    assert judge.indexes == {"i1": 8, "i2": 9}


def test_variables_go_in_and_come_out() -> None:
    judge = matcher(about="${uuid1} ${http0}", blur=["k[0-9]+"])
    judge.vars["sid"] = ID
    judge.answered["first"] = "12"
    assert judge.fill(["$${x} ${first.index} ${x:3} ${http0}", {"${sid}": 1}]) == ["${x} 12 xxx 127.0.0.1:1", {ID: 1}]
    unique = judge.vars["uuid1"]
    recorded = judge.mask({"ID": unique, "at": "2026-01-02T03:04:05+01:00", "k77": 3, "ModifyIndex": 5})
    assert recorded == {"ID": "${uuid1}", "at": "<time>", "<any>": 3, "ModifyIndex": {"$index": 5}}
    judge.match("${sid} and ${b64:sid}", f"{ID} and MGYxZTJkM2MtNGI1YS02OTc4LTg3OTYtYTViNGMzZDJlMWYw", "body")


def test_views() -> None:
    body = {"Servers": [{"ID": "a", "Leader": True}, {"ID": "b", "Leader": False}]}
    assert look_up(body, ["Servers", {"Leader": False}, 0, "ID"]) == "b"
    assert look_up(body, ["Servers", "*", "ID"]) == ["a", "b"]
    assert look_up(body, ["Servers", "#"]) == 2
    assert look_up(body, ["#keys"]) == ["Servers"]
    kinds: dict[str, Any] = {"object": {}, "list": [], "string": "", "boolean": True, "null": None, "number": 1.5}
    assert all(look_up(value, ["#type"]) == kind for kind, value in kinds.items())
    assert look_up(body, ["Servers", 2, "ID"]) == look_up("text", ["*"]) == "$missing"


def test_a_recording_keeps_the_order_of_indexes_only() -> None:
    scenario = {"steps": [{"expect": {"headers": {"I": {"$index": 90}}, "body": [{"$index": 7}]}}, {"sleep": 1}]}
    name_indexes(scenario)
    assert scenario["steps"][0] == {"expect": {"headers": {"I": {"$index": "i2"}}, "body": [{"$index": "i1"}]}}


def test_softened_texts() -> None:
    assert soften({"a": ["took 12 ms", "took"]}, re.compile(r"took (\d+) ms")) == {"a": ["took <any> ms", "took"]}


def answer(**changed: Any) -> Response:
    given: dict[str, Any] = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": b"1", "seconds": 1}
    return Response(**{**given, **changed})


@pytest.mark.parametrize(
    ("expect", "got", "why"),
    [
        ({"headers": {"Content-Type": "Application/JSON"}, "body": 1, "seconds": [0.5, 1.5]}, answer(), ""),
        ({}, answer(status=500), "status: want 200, got 500 (1)"),
        ({"headers": {"Allow": "GET"}}, answer(), "header Allow is missing"),
        (
            {"headers": {"Allow": None}},
            answer(headers={"Allow": ""}),
            "header Allow is sent, and the reference does not",
        ),
        ({"headers": {"Allow": "GET"}}, answer(headers={"Allow": "PUT"}), "header Allow: want 'GET', got PUT"),
        ({"body": "1"}, answer(), "body: want '1', got 1"),
        ({"open": False}, answer(open=True), "the connection stayed open after the answer"),
        ({"seconds": [2, 3]}, answer(), "took 1.00 s, want 2 to 3"),
    ],
)
def test_answers(expect: dict[str, Any], got: Response, why: str) -> None:
    with closing(Run({"name": "x", "steps": []}, ["http://127.0.0.1:1"])) as run:
        if not why:
            run.check({"expect": {"status": 200, **expect}}, got)
            return
        with pytest.raises(Mismatch) as caught:
            run.check({"expect": {"status": 200, **expect}}, got)
    assert str(caught.value).startswith(why)


def test_captured_values() -> None:
    with closing(Run({"name": "x", "steps": []}, ["http://127.0.0.1:1"])) as run:
        got = answer(headers={"X-A": "h"}, body=json.dumps([{"ID": "00000000-0000-0001-0000-000000000003"}]).encode())
        run.capture({"capture": {"index": "body.0.ID|uuid_index", "up": "header.X-A|upper", "id": [0, "ID"]}}, got)
        assert (run.matcher.vars["index"], run.matcher.vars["up"]) == (2, "H")
        assert run.matcher.vars["id"].endswith("0003")
        for path in ("body.1.ID", "header.X-B", [1]):
            with pytest.raises(Mismatch, match="is not there"):
                run.capture({"capture": {"other": path}}, got)


def test_exit_code_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = {"method": "GET", "path": "/", "expect": {"status": 200}}
    scenarios = [{"name": "nobody", "steps": [step]}, {"name": "three", "cluster": 3, "steps": []}]
    (tmp_path / "a.json").write_text(json.dumps([*scenarios, {"name": "empty", "steps": []}]))
    (tmp_path / "other.json").write_text("{}")
    assert main(["replay", "--node", "http://127.0.0.1:1", "-v", str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("differs a: nobody: step 1 (GET /): no answer: ConnectionRefusedError")
    assert said[1:] == ["held    a: empty", "1 passed, 1 failed, 1 skipped (they need more nodes or a special set-up)"]
    assert main(["replay", "--node", "http://127.0.0.1:1", "-k", "empty", str(tmp_path / "a.json")]) == 0
