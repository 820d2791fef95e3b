"""Command lines by Go's flag rules."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyconsul.codec.go_flags import (
    BOOL,
    DURATION,
    INT,
    PAIRS,
    STRING,
    STRINGS,
    UINT,
    Flag,
    FlagError,
    FlagSet,
    HelpRequested,
)

FLAGS = FlagSet(
    Flag("name", STRING, "a text"),
    [
        Flag("cas", BOOL, "a truth value"),
        Flag("port", INT, "a number"),
        Flag("flags", UINT, "a number without sign", 7),
        Flag("wait", DURATION, "a time", 2_000_000_000),
        Flag("join", STRINGS, "a list"),
        Flag("meta", PAIRS, "a map"),
        Flag("node-meta", PAIRS, "a map with colons", separator=":"),
        Flag("expect", INT, "a number or nothing", optional=True),
        Flag("trailing", UINT, "a number or nothing", optional=True),
        Flag("server", BOOL, "a truth value or nothing", optional=True),
        Flag("threshold", DURATION, "a time or nothing", optional=True),
    ],
)


@pytest.mark.parametrize("words", [["-name", "x"], ["--name", "x"], ["-name=x"], ["--name=x"]])
def test_one_dash_or_two_value_after_equals_or_blank(words: list[str]) -> None:
    parsed = FLAGS.parse([*words, "rest"])
    assert parsed.string("name") == "x"
    assert parsed.args == ["rest"]
    assert parsed.given == {"name"}


def test_defaults_when_nothing_is_given() -> None:
    parsed = FLAGS.parse([])
    assert parsed.string("name") == ""
    assert parsed.boolean("cas") is False
    assert parsed.integer("flags") == 7
    assert parsed.integer("wait") == 2_000_000_000
    assert parsed.strings("join") == []
    assert parsed.pairs("meta") == {}
    assert parsed.optional("expect") is None
    assert parsed.optional("server") is None
    assert not parsed.given


def test_a_bool_takes_its_value_only_after_equals() -> None:
    parsed = FLAGS.parse(["-cas", "false"])
    assert parsed.boolean("cas") is True
    assert parsed.args == ["false"]
    assert FLAGS.parse(["-cas=false"]).boolean("cas") is False
    assert FLAGS.parse(["-cas=T"]).boolean("cas") is True


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (["-cas", "a", "-name", "b"], ["a", "-name", "b"]),
        (["-cas", "-", "-name", "b"], ["-", "-name", "b"]),
        (["-cas", "--", "-name", "b"], ["-name", "b"]),
        (["", "-cas"], ["", "-cas"]),
    ],
)
def test_parsing_ends_at_the_first_argument(words: list[str], args: list[str]) -> None:
    assert FLAGS.parse(words).args == args


def test_a_value_may_begin_with_a_dash_or_hold_equals() -> None:
    assert FLAGS.parse(["-name", "-cas"]).string("name") == "-cas"
    assert FLAGS.parse(["-name=a=b"]).string("name") == "a=b"
    assert FLAGS.parse(["-name="]).string("name") == ""


def test_a_repeated_flag_counts_last_lists_and_maps_collect() -> None:
    parsed = FLAGS.parse(
        ["-name=a", "-name=b", "-join", "x", "-join=y", "-meta", "k=1", "-meta=l=2=3", "-meta=k=4", "-node-meta=a:b:c"]
    )
    assert parsed.string("name") == "b"
    assert parsed.strings("join") == ["x", "y"]
    assert parsed.pairs("meta") == {"k": "4", "l": "2=3"}
    assert parsed.pairs("node-meta") == {"a": "b:c"}


@pytest.mark.parametrize(
    ("text", "value"), [("0x10", 16), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("017", 15), ("0x_ff", 255), ("0", 0)]
)
def test_numbers_as_go_writes_them(text: str, value: int) -> None:
    assert FLAGS.parse([f"-flags={text}"]).integer("flags") == value
    assert FLAGS.parse([f"-port=-{text}"]).integer("port") == -value


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nosuch"], "flag provided but not defined: -nosuch"),
        (["-nosuch=3"], "flag provided but not defined: -nosuch"),
        (["---cas"], "bad flag syntax: ---cas"),
        (["-=x"], "bad flag syntax: -=x"),
        (["-name"], "flag needs an argument: -name"),
        (["-cas=maybe"], 'invalid boolean value "maybe" for -cas: parse error'),
        (["-cas="], 'invalid boolean value "" for -cas: parse error'),
        (["-flags=abc"], 'invalid value "abc" for flag -flags: parse error'),
        (["-flags=-1"], 'invalid value "-1" for flag -flags: parse error'),
        (["-flags=1__0"], 'invalid value "1__0" for flag -flags: parse error'),
        (["-flags=_1"], 'invalid value "_1" for flag -flags: parse error'),
        (["-flags=0x"], 'invalid value "0x" for flag -flags: parse error'),
        (["-flags=08"], 'invalid value "08" for flag -flags: parse error'),
        (["-flags=18446744073709551616"], 'invalid value "18446744073709551616" for flag -flags: value out of range'),
        (["-port=9223372036854775808"], 'invalid value "9223372036854775808" for flag -port: value out of range'),
        (["-wait=abc"], 'invalid value "abc" for flag -wait: parse error'),
        (["-wait=5"], 'invalid value "5" for flag -wait: parse error'),
        (["-meta=foo"], 'invalid value "foo" for flag -meta: Missing "=" value in argument: foo'),
        (["-expect=two"], 'invalid value "two" for flag -expect: strconv.Atoi: parsing "two": invalid syntax'),
        (["-expect=0x10"], 'invalid value "0x10" for flag -expect: strconv.Atoi: parsing "0x10": invalid syntax'),
        (["-server=ja"], 'invalid boolean value "ja" for -server: strconv.ParseBool: parsing "ja": invalid syntax'),
        (["-trailing=-1"], 'invalid value "-1" for flag -trailing: strconv.ParseUint: parsing "-1": invalid syntax'),
        (
            ["-trailing=99999999999999999999"],
            (
                'invalid value "99999999999999999999" for flag -trailing: '
                'strconv.ParseUint: parsing "99999999999999999999": value out of range'
            ),
        ),
        (["-threshold=abc"], 'invalid value "abc" for flag -threshold: time: invalid duration "abc"'),
    ],
)
def test_errors_are_go_s(words: list[str], text: str) -> None:
    with pytest.raises(FlagError) as caught:
        FLAGS.parse(words)
    assert str(caught.value) == text


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_told_apart(word: str) -> None:
    with pytest.raises(HelpRequested):
        FLAGS.parse([word])


def test_the_wrong_accessor_is_refused() -> None:
    parsed = FLAGS.parse(["-cas"])
    with pytest.raises(TypeError, match="-cas"):
        parsed.integer("cas")
    with pytest.raises(TypeError, match="-expect"):
        parsed.integer("expect")


def test_a_default_list_is_not_shared() -> None:
    flags = FlagSet(Flag("x", STRINGS, "a list", ["a"]))
    flags.parse([]).strings("x").append("b")
    assert flags.parse([]).strings("x") == ["a"]
    assert flags.parse(["-x=c"]).strings("x") == ["c"], "a default gives way to what is given"


def test_two_names_may_share_one_list() -> None:
    flags = FlagSet(Flag("file", STRINGS, "files"), Flag("dir", STRINGS, "folders", into="file"))
    assert flags.parse(["-dir=a", "-file=b", "-dir=c"]).strings("file") == ["a", "b", "c"]


def test_declarations_tell_what_help_needs() -> None:
    assert [flag.name for flag in FLAGS][:2] == ["name", "cas"]
    wait = FLAGS.get("wait")
    assert wait is not None and wait.default_text() == "2s"
    assert Flag("a", BOOL, "", True).default_text() == "true"
    assert Flag("a", STRING, "", "dc1").default_text() == "dc1"
    assert Flag("a", INT, "").default_text() == ""
    assert FlagSet(Flag("a", INT, "one"), Flag("a", INT, "two")).get("a").help == "two"  # type: ignore[union-attr]


def test_the_import_is_cheap() -> None:
    code = "import sys, pyconsul.codec.go_flags; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"re", "typing", "dataclasses", "enum", "asyncio", "aiohttp", "msgspec", "json", "inspect"}
