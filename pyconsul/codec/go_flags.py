"""Command-line flags by the rules of Go's ``flag`` package, from declarations that help texts are made of too.

``-name``, ``--name``, ``-name=value`` and ``-name value`` are equal; a truth value takes its value only after ``=``;
parsing ends at the first word without a dash, at a lone ``-`` (an argument) and after ``--``. A repeated flag: the last
value counts, lists and maps collect. Error texts are Go's, as scripts see them.

Cheap to import on purpose (no ``re``, ``typing``, ``dataclasses``): every command starts through here.
"""

from __future__ import annotations

from pyconsul.codec.duration import format_duration
from pyconsul.codec.go_numbers import RangeError, parse_bool, parse_duration, parse_int, parse_int_literal, parse_uint
from pyconsul.codec.quote import quote
from pyconsul.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import NoReturn

    FlagValue = str | bool | int | list[str] | dict[str, str] | None

STRING = "string"
BOOL = "bool"
INT = "int"
UINT = "uint"
DURATION = "duration"
"""Given as ``5s``; the value is in nanoseconds."""
STRINGS = "list"
"""May be repeated; the value is a list in the order given."""
PAIRS = "map"
"""May be repeated; each time one ``key=value`` (or another separator); the value is a dict."""


class FlagError(ConfigError):
    """A flag is unknown, lacks its value or has a wrong one. The text is the first line that Go prints."""


class HelpRequested(FlagError):
    """``-h`` or ``-help`` where no such flag is defined."""

    def __init__(self) -> None:
        super().__init__("flag: help requested")


class Flag:
    """The declaration of one flag.

    ``default``: None for ``optional`` flags, which tell "not given" from any value and whose errors are those of Go's
    converters rather than ``parse error``. ``separator``: between key and value of a PAIRS flag.
    ``choices``: values for completion only; they are not checked here.
    ``into``: the flag (of the same type) whose value this one sets, so that two names share one value or list.
    """

    __slots__ = ("choices", "default", "help", "into", "name", "optional", "separator", "type", "value_name")

    def __init__(
        self,
        name: str,
        type: str,  # noqa: A002 - the natural word, and a keyword argument of a declaration
        help: str,  # noqa: A002
        default: FlagValue = None,
        *,
        optional: bool = False,
        separator: str = "=",
        value_name: str = "",
        choices: tuple[str, ...] = (),
        into: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.help = help
        self.optional = optional
        self.separator = separator
        self.value_name = value_name or ("" if type == BOOL else "value" if type in (STRINGS, STRING) else type)
        self.choices = choices
        self.into = into or name
        self.default = default if default is not None or optional else _ZERO[type]

    def __repr__(self) -> str:
        return f"Flag(-{self.name} {self.type})"

    def initial(self) -> FlagValue:
        """The value when the flag is not given; lists and dicts are fresh."""
        if isinstance(self.default, list):
            return list(self.default)
        if isinstance(self.default, dict):
            return dict(self.default)
        return self.default

    def default_text(self) -> str:
        """The default for help texts; empty when it is the zero value of the type or absent."""
        if self.default is None or self.default == _ZERO[self.type]:
            return ""
        if self.type == DURATION and isinstance(self.default, int):
            return format_duration(self.default)
        if isinstance(self.default, bool):
            return "true"
        return str(self.default)


_ZERO: dict[str, FlagValue] = {STRING: "", BOOL: False, INT: 0, UINT: 0, DURATION: 0, STRINGS: [], PAIRS: {}}


class ParsedFlags:
    """What a command line says: values by flag name (defaults filled in), which were given, and the arguments."""

    __slots__ = ("args", "given", "values")

    def __init__(self, values: dict[str, FlagValue], given: set[str], args: list[str]) -> None:
        self.values = values
        self.given = given
        self.args = args

    def string(self, name: str) -> str:
        value = self.values[name]
        return value if isinstance(value, str) else _wrong_type(name, value)

    def boolean(self, name: str) -> bool:
        value = self.values[name]
        return value if isinstance(value, bool) else _wrong_type(name, value)

    def integer(self, name: str) -> int:
        """Of INT, UINT and DURATION (nanoseconds) flags."""
        value = self.values[name]
        return value if isinstance(value, int) and not isinstance(value, bool) else _wrong_type(name, value)

    def strings(self, name: str) -> list[str]:
        value = self.values[name]
        return value if isinstance(value, list) else _wrong_type(name, value)

    def pairs(self, name: str) -> dict[str, str]:
        value = self.values[name]
        return value if isinstance(value, dict) else _wrong_type(name, value)

    def optional(self, name: str) -> FlagValue:
        """The value of any flag, None when an optional one was not given."""
        return self.values[name]


class FlagSet:
    """The flags of one command, in the order of declaration; a later declaration of a name replaces an earlier one."""

    __slots__ = ("_by_name",)

    def __init__(self, *groups: Flag | Iterable[Flag]) -> None:
        self._by_name: dict[str, Flag] = {}
        for group in groups:
            for flag in (group,) if isinstance(group, Flag) else group:
                self._by_name[flag.name] = flag

    def __iter__(self) -> Iterator[Flag]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Flag | None:
        return self._by_name.get(name)

    def parse(self, words: Sequence[str]) -> ParsedFlags:
        """Raises FlagError; nothing of the command line is used then."""
        values: dict[str, FlagValue] = {flag.name: flag.initial() for flag in self}
        given: set[str] = set()
        at = 0
        while at < len(words):
            word = words[at]
            if len(word) < 2 or word[0] != "-":
                break
            at += 1
            dashes = 2 if word[1] == "-" else 1
            if word == "--":
                break
            name, equals, text = word[dashes:].partition("=")
            if not name or name[0] == "-":
                raise FlagError(f"bad flag syntax: {word}")
            flag = self._by_name.get(name)
            if flag is None:
                if name in ("h", "help"):
                    raise HelpRequested
                raise FlagError(f"flag provided but not defined: -{name}")
            if flag.type == BOOL:
                values[flag.into] = _boolean(flag, text if equals else "true")
            else:
                if not equals:
                    if at == len(words):
                        raise FlagError(f"flag needs an argument: -{name}")
                    text = words[at]
                    at += 1
                values[flag.into] = _value(flag, text, values[flag.into] if flag.into in given else None)
            given.add(flag.into)
        return ParsedFlags(values, given, list(words[at:]))


def _boolean(flag: Flag, text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError as error:
        reason = str(error) if flag.optional else "parse error"
        raise FlagError(f"invalid boolean value {quote(text)} for -{flag.name}: {reason}") from None


def _value(flag: Flag, text: str, earlier: FlagValue) -> FlagValue:
    """The value of a flag that takes one. ``earlier``: what a list or map flag has collected so far."""
    if flag.type == STRING:
        return text
    if flag.type == STRINGS:
        return [*earlier, text] if isinstance(earlier, list) else [text]
    if flag.type == PAIRS:
        key, separator, value = text.partition(flag.separator)
        if not separator and flag.separator == "=":
            reason = f'Missing "=" value in argument: {text}'
            raise FlagError(f"invalid value {quote(text)} for flag -{flag.name}: {reason}")
        return {**earlier, key: value} if isinstance(earlier, dict) else {key: value}
    try:
        return _number(flag, text)
    except ValueError as error:
        if flag.optional:
            reason = str(error)
        elif isinstance(error, RangeError) and flag.type != DURATION:
            reason = "value out of range"
        else:
            reason = "parse error"
        raise FlagError(f"invalid value {quote(text)} for flag -{flag.name}: {reason}") from None


def _number(flag: Flag, text: str) -> int:
    if flag.type == DURATION:
        return parse_duration(text)
    if flag.optional:
        return parse_int(text) if flag.type == INT else parse_uint(text)
    return parse_int_literal(text, signed=flag.type == INT)


def _wrong_type(name: str, value: object) -> NoReturn:
    raise TypeError(f"flag -{name} holds {value!r}: asked for as another type")
