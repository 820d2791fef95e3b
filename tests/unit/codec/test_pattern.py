"""Regular expressions in linear time: the same texts match as with the standard library, and Go's words for errors."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.codec.pattern import Pattern
from pyconsul.errors import DecodeError

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "[ab]",
        "[^a]",
        "[a-c]",
        "(a|b)",
        "(?:ab)",
        "(?P<x>a|)",
        r"\d",
        r"\W",
        r"\.",
        r"\b",
        r"\B",
        "^",
        "$",
    ]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "{0}", "*?", "+?"])
NOT_REPEATED = ("^", "$", r"\b", r"\B")
EXPRESSIONS = st.lists(st.tuples(ATOMS, REPEATS), max_size=6).map(
    lambda parts: "".join(atom + ("" if atom in NOT_REPEATED else repeat) for atom, repeat in parts)
)


@given(EXPRESSIONS, st.text("ab1. ", max_size=8))
def test_the_same_texts_match_as_with_the_standard_library(expression: str, text: str) -> None:
    # Go's $ is the end of the text, Python's also stands before a last line break: \Z is meant. Its groups may repeat.
    standard = expression.replace("$", r"\Z").replace("(?P<x>", "(?:")
    text = text or "-"  # in an empty text Python before 3.14 finds no \B
    expected = re.search(standard, text, re.ASCII) is not None
    assert Pattern(expression).search(text) is expected


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        ("(?i)^WEB[a-c]$", "webB", True),
        ("(?i)straße", "STRAßE", True),
        ("a(?i)b|c", "aB", True),
        ("a(?i:b)c", "aBC", False),
        ("(?i-i)a", "A", False),
        ("^b$", "a\nb", False),
        ("(?m)^b$", "a\nb\nc", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        (r"\Aa\z", "a", True),
        (r"\Aa\z", "a\n", False),
        (r"\Q.*\E+", "x.**", True),
        (r"\Q.*", "ab", False),
        ("[[:alpha:]-]+$", "1a-", True),
        ("[^[:^digit:]]", "a1", True),
        (r"[\d_]", "a_", True),
        (r"[\w-]x", "-x", True),
        (r"\x41\x{42}", "AB", True),
        (r"\pL\p{Lu}\P{L}", "äÄ1", True),
        (r"\p{^Lu}", "A", False),
        ("a{,2}", "a{,2}", True),
        ("[]a]", "]", True),
        ("a|", "b", True),
        ("ab(?s)*c", "ac", True),
        ("", "", True),
        ("(?<name>a)", "a", True),
        (r"\bweb\b", "my web 1", True),
        (r"\bweb\b", "webs", False),
    ],
)
def test_syntax(expression: str, text: str, expected: bool) -> None:
    assert Pattern(expression).search(text) is expected


@pytest.mark.parametrize("expression", ["(?:a+)+b", "(a|a)*b", "(a*)*b", "(?:a?){200}b", "(?:a{1,30}){1,30}b"])
def test_linear_time(expression: str) -> None:
    assert not Pattern(expression).search("a" * 400)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{9999}", "invalid repeat count: `{9999}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        (r"\y", r"invalid escape sequence: `\y`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ("((a{100}){100}){100}", "expression too large"),
        ("x" * 2000, "expression too large"),
        ("(" * 500, "expression nests too deeply"),
    ],
)
def test_what_is_not_understood_is_told_in_words_of_go(expression: str, text: str) -> None:
    with pytest.raises(DecodeError) as error:
        Pattern(expression)
    assert str(error.value) == text


@given(st.text(r"ab\()[]{}|*+?^$.:-,<>PpQEx0123iLsmUdw", max_size=24), st.text("ab01\n", max_size=6))
def test_any_expression_is_understood_or_refused(expression: str, text: str) -> None:
    try:
        pattern = Pattern(expression)
    except DecodeError:
        return
    assert pattern.search(text) in (True, False)
