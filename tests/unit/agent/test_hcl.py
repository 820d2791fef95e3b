"""HCL 1, as configuration files use it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.agent.hcl import DEPTH_MAX, Blocks, parse_hcl
from pyconsul.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("a = 1", {"a": 1}),
        ('a = "x" b = true c = false', {"a": "x", "b": True, "c": False}),
        ("a = -3\nb = 0x1F\nc = 017\nd = 0", {"a": -3, "b": 31, "c": 15, "d": 0}),
        ("a = 1.5\nb = 1e3\nc = -2.5e-1", {"a": 1.5, "b": 1000.0, "c": -0.25}),
        ("a = []", {"a": []}),
        ('a = ["x", 1, true,]', {"a": ["x", 1, True]}),
        ('a = ["x",\n # why\n "y"]', {"a": ["x", "y"]}),
        ("a = 1, b = 2", {"a": 1, "b": 2}),
        ("a = 1\na = 2", {"a": 2}),
        ('"a b" = 1', {"a b": 1}),
        ("a-b.c_d = 1", {"a-b.c_d": 1}),
        ("# x\n// y\n/* z\n */ a = 1 # end", {"a": 1}),
        ("\ufeffa = 1", {"a": 1}),
        ('{"a": [1]}', {"a": [1.0]}),
    ],
)
def test_values(text: str, value: dict[str, object]) -> None:
    assert parse_hcl(text) == value


@pytest.mark.parametrize("text", ["p { http = 1 }", "p = { http = 1 }", "p {\n  http = 1\n}\n", '"p" { "http" = 1 }'])
def test_blocks_with_and_without_equals(text: str) -> None:
    parsed = parse_hcl(text)
    assert parsed == {"p": [{"http": 1}]}
    assert isinstance(parsed["p"], Blocks)


def test_a_repeated_block_and_labels() -> None:
    assert parse_hcl("p { a = 1 } p { b = 2 }") == {"p": [{"a": 1}, {"b": 2}]}
    assert parse_hcl('service "web" { port = 1 }') == {"service": [{"web": [{"port": 1}]}]}


def test_objects_in_a_list_are_no_blocks_and_need_no_commas() -> None:
    parsed = parse_hcl('watches = [{ type = "key" key = "a" args = ["/bin/true"] }, {type="x"}]')
    assert parsed == {"watches": [{"type": "key", "key": "a", "args": ["/bin/true"]}, {"type": "x"}]}
    assert not isinstance(parsed["watches"], Blocks)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'a = "q\"b\\n\n\t\u00e9\x41"', 'q"b\\n\n\té' + "A"),
        (r'a = "\U0001F600"', "\U0001f600"),
        ('a = "{{ GetInterfaceIP \\"eth0\\" }}"', '{{ GetInterfaceIP "eth0" }}'),
        ('a = "${ f("x") }"', '${ f("x") }'),
        ("a = <<EOF\none\n  two\nEOF\n", "one\n  two\n"),
        ("a = <<EOF\nEOF", ""),
        ("a = <<-EOF\n    one\n      two\n    EOF\n", "one\n  two\n"),
        ("a = <<-EOF\n  one\n\n  two\n  EOF\n", "one\n\ntwo\n"),
    ],
)
def test_texts(text: str, value: str) -> None:
    assert parse_hcl(text) == {"a": value}


def test_lines_are_counted_through_everything() -> None:
    text = 'a = <<EOF\nx\nEOF\n/* \n */ b = "${\n}"\n?'
    with pytest.raises(ConfigError, match=r"^At 7:1: illegal character$"):
        parse_hcl(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a =\nfoo {", "At 2:1: Unknown token: 2:1 IDENT foo"),
        ("a = ]", "At 1:5: Unknown token: 1:5 RBRACK ]"),
        ("a =", "EOF token found"),
        ("a {", "At 1:4: object expected closing RBRACE got: EOF"),
        ("a", "At 1:2: key 'a' expected start of object ('{') or assignment ('=')"),
        ('a "b" = 1', "At 1:7: nested object expected: LBRACE got: ASSIGN"),
        ("= 1", "At 1:1: expected: IDENT | STRING got: ASSIGN"),
        ("}", "At 1:1: expected: IDENT | STRING got: RBRACE"),
        ("a = [1 2]", "At 1:8: error parsing list, expected comma or list end, got: NUMBER"),
        ("a = [1", "At 1:7: error parsing list, expected comma or list end, got: EOF"),
        ('a = "x', "At 1:5: literal not terminated"),
        ('a = "x\ny"', "At 1:5: literal not terminated"),
        (r'a = "\q"', "At 1:5: illegal char escape"),
        (r'a = "\ud800"', "At 1:5: illegal char escape"),
        ("/* x", "At 1:1: comment not terminated"),
        ("/ x", "At 1:1: expected '/' for comment"),
        ("a = 08", "At 1:5: illegal octal number"),
        ("a = 1x", "At 1:5: illegal number"),
        ("a = 0x", "At 1:5: illegal number"),
        ("a = -", "At 1:5: illegal number"),
        ("a = <<EOF\nx", "At 1:5: heredoc not terminated"),
        ("a = <<EOF", "At 1:5: heredoc not terminated"),
        ("a = <x", "At 1:5: heredoc expected second '<' and an anchor"),
    ],
)
def test_errors_name_the_place(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_hcl(text)
    assert str(caught.value) == error


def test_depth_is_bounded() -> None:
    with pytest.raises(ConfigError, match=f"more than {DEPTH_MAX} objects"):
        parse_hcl("a = " + "[" * 10_000)
    with pytest.raises(ConfigError, match="exceeded max depth"):
        parse_hcl('{"a":' * 10_000)


@given(st.text(alphabet='ab1.-_ \n\t"\\{}[]=,<EOF#/*$x', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_hcl(text), dict)
    except ConfigError as error:
        assert str(error)
