"""Reads regular expressions in the syntax of Go (RE2) into a tree that pattern.py makes an automaton of.

Known: literals, ``.``, classes with ranges, ``\\d \\w \\s``, POSIX names and categories (``\\pL``, ``\\p{Lu}``),
escapes, ``\\Q…\\E``, ``^ $ \\A \\z \\b \\B``, groups with and without names, ``|``, ``* + ? {m,n}`` also lazy, and the
flags ``i m s U``. Scripts (``\\p{Greek}``) are not known. Texts of errors are those of Go's regexp package.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple, Union

from pyconsul.errors import DecodeError

REPEAT_MAX = 1000
DEPTH_MAX = 100

Test = Callable[[str], bool]
Assertion = Callable[[str, str], bool]
"""From the characters before and behind a place, "" at the ends of the text."""


class Char(NamedTuple):
    """One character that fits."""

    test: Test


class Place(NamedTuple):
    """A place between characters."""

    fits: Assertion


class Both(NamedTuple):
    """One after the other."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """One of several."""

    branches: tuple[Node, ...]


class Repeat(NamedTuple):
    """``most`` -1: any number."""

    part: Node
    least: int
    most: int


Node = Union[Char, Place, Both, Either, Repeat]  # noqa: UP007


def _is_word(char: str) -> bool:
    return char == "_" or (char.isascii() and char.isalnum())


def _at_word_edge(before: str, after: str) -> bool:
    return _is_word(before) != _is_word(after)


_CLASSES: dict[str, Test] = {
    "d": lambda char: "0" <= char <= "9",
    "w": lambda char: _is_word(char),
    "s": lambda char: char in "\t\n\f\r ",
}
_PLACES: dict[str, Assertion] = {
    "A": lambda before, after: before == "",
    "z": lambda before, after: after == "",
    "b": _at_word_edge,
    "B": lambda before, after: not _at_word_edge(before, after),
}
_ESCAPES = {"t": "\t", "n": "\n", "f": "\f", "r": "\r", "v": "\v", "a": "\a"}
_POSIX: dict[str, Test] = {
    "alnum": lambda char: char.isascii() and char.isalnum(),
    "alpha": lambda char: char.isascii() and char.isalpha(),
    "ascii": lambda char: char.isascii(),
    "blank": lambda char: char in "\t ",
    "cntrl": lambda char: char < " " or char == "\x7f",
    "digit": lambda char: "0" <= char <= "9",
    "graph": lambda char: "!" <= char <= "~",
    "lower": lambda char: "a" <= char <= "z",
    "print": lambda char: " " <= char <= "~",
    "punct": lambda char: "!" <= char <= "~" and not char.isalnum(),
    "space": lambda char: char in "\t\n\v\f\r ",
    "upper": lambda char: "A" <= char <= "Z",
    "word": lambda char: _is_word(char),
    "xdigit": lambda char: char.isascii() and char.isalnum() and char.lower() <= "f",
}
_KINDS = {"L": "ultmo", "M": "nce", "N": "dlo", "P": "cdseifo", "S": "mcko", "Z": "slp", "C": "cfso"}
_CATEGORIES = frozenset(first + second for first, seconds in _KINDS.items() for second in ["", *seconds])


def _not(test: Test) -> Test:
    return lambda char: not test(char)


def _folded(test: Test) -> Test:
    return lambda char: test(char) or test(char.lower()) or test(char.upper())


class Flags(NamedTuple):
    fold: bool = False
    lines: bool = False
    dot_all: bool = False


def parse(expression: str) -> Node:
    """The tree of an expression. Raises DecodeError."""
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._text = expression
        self._at = 0
        self._flags = Flags()

    def whole(self) -> Node:
        node = self._alternatives(0)
        if self._at < len(self._text):
            raise DecodeError(f"unexpected ): `{self._text}`")
        return node

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _starts(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise DecodeError("trailing backslash at end of expression: ``")
        self._at += 1
        return char

    def _alternatives(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise DecodeError("expression nests too deeply")
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            if self._starts("\\Q"):
                *others, last = self._quoted() or [Both(())]
                parts += [*others, self._repeated(last)]
                continue
            part = self._atom(depth)
            if part is not None:
                parts.append(self._repeated(part))
            elif parts:  # behind a change of flags a repetition is that of what stands before
                parts.append(self._repeated(parts.pop()))
        return Both(tuple(parts))

    def _quoted(self) -> list[Node]:
        end = self._text.find("\\E", self._at)
        inside = self._text[self._at + 2 : end if end >= 0 else None]
        self._at = end + 2 if end >= 0 else len(self._text)
        return [self._char(self._literal(char)) for char in inside]

    def _repeated(self, part: Node) -> Node:
        begin = self._at
        found = self._repetition()
        if found is None:
            return part
        if self._peek() == "?":
            self._at += 1  # lazy: the same texts match
        if self._repetition() is not None:
            raise DecodeError(f"invalid nested repetition operator: `{self._text[begin : self._at]}`")
        return Repeat(part, *found)

    def _repetition(self) -> tuple[int, int] | None:
        """Least and most copies; None: there is no repetition here."""
        found = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(self._peek())
        if found is not None:
            self._at += 1
            return found
        if self._peek() != "{":
            return None
        end = self._text.find("}", self._at)
        first, comma, second = self._text[self._at + 1 : max(end, 0)].partition(",")
        numbers = all(each.isascii() and each.isdigit() for each in (first, second) if each)
        if end < 0 or not first or not numbers:
            return None  # a literal brace
        shown = self._text[self._at : end + 1]
        if len(first) > 4 or len(second) > 4:
            raise DecodeError(f"invalid repeat count: `{shown}`")
        least = int(first)
        most = int(second) if second else (-1 if comma else least)
        if least > REPEAT_MAX or most > REPEAT_MAX or 0 <= most < least:
            raise DecodeError(f"invalid repeat count: `{shown}`")
        self._at = end + 1
        return least, most

    def _atom(self, depth: int) -> Node | None:
        """None: a change of flags, nothing to match."""
        begin = self._at
        char = self._take()
        if char == "(":
            return self._group(begin, depth)
        if char == "^":
            lines = self._flags.lines
            return Place(lambda before, after: before == "" or (lines and before == "\n"))
        if char == "$":
            lines = self._flags.lines
            return Place(lambda before, after: after == "" or (lines and after == "\n"))
        if char in "*+?":
            lazy = "?" if self._peek() == "?" else ""
            raise DecodeError(f"missing argument to repetition operator: `{char}{lazy}`")
        if char == "{":
            self._at = begin
            if self._repetition() is not None:
                shown = self._text[begin : self._at] + ("?" if self._peek() == "?" else "")
                raise DecodeError(f"missing argument to repetition operator: `{shown}`")
            self._at = begin + 1
        if char == ".":
            dot_all = self._flags.dot_all
            return Char(lambda other: dot_all or other != "\n")
        if char == "[":
            return self._char(self._class(begin))
        if char == "\\":
            if self._peek() in _PLACES and self._peek():
                return Place(_PLACES[self._take()])
            return self._char(self._escape(begin))
        return self._char(self._literal(char))

    def _group(self, begin: int, depth: int) -> Node | None:
        saved = self._flags
        if self._starts("?P<") or self._starts("?<"):
            end = self._text.find(">", self._at)
            name = self._text[self._text.find("<", self._at) + 1 : max(end, 0)]
            if end < 0 or not name or not all(map(_is_word, name)):
                raise DecodeError(f"invalid named capture: `{self._text[begin : end + 1 if end >= 0 else None]}`")
            self._at = end + 1
        elif self._peek() == "?":
            self._at += 1
            self._read_flags(begin)
            if self._take() == ")":
                return None  # they hold to the end of the group around
        inside = self._alternatives(depth + 1)
        if self._peek() != ")":
            raise DecodeError(f"missing closing ): `{self._text}`")
        self._at += 1
        self._flags = saved
        return inside

    def _read_flags(self, begin: int) -> None:
        values = self._flags._asdict()
        value = True
        names = {"i": "fold", "m": "lines", "s": "dot_all", "U": ""}
        while self._peek() not in (")", ":"):
            char = self._peek()
            if char == "-" and value:
                value = False
            elif char in names and char:
                if names[char]:
                    values[names[char]] = value
            else:
                raise DecodeError(f"invalid or unsupported Perl syntax: `{self._text[begin : self._at + 1]}`")
            self._at += 1
        self._flags = Flags(**values)

    def _char(self, test: Test) -> Char:
        return Char(_folded(test) if self._flags.fold else test)

    def _literal(self, wanted: str) -> Test:
        return lambda char: char == wanted

    def _escape(self, begin: int) -> Test:
        """After the backslash at ``begin``."""
        char = self._take()
        lower = char.lower()
        if lower in _CLASSES:
            return _CLASSES[char] if char == lower else _not(_CLASSES[lower])
        if lower == "p":
            return self._category(begin, char == "P")
        if char == "x":
            return self._literal(self._hexadecimal(begin))
        if char in _ESCAPES or not char.isalnum():
            return self._literal(_ESCAPES.get(char, char))
        raise DecodeError(f"invalid escape sequence: `{self._text[begin : self._at]}`")

    def _hexadecimal(self, begin: int) -> str:
        end = self._text.find("}", self._at) if self._peek() == "{" else self._at + 2
        digits = self._text[self._at : max(end, 0)].lstrip("{")
        self._at = end + 1 if self._peek() == "{" else end
        try:
            return chr(int(digits, 16)) if digits.isalnum() and len(digits) >= 1 and end >= 0 else chr(-1)
        except (ValueError, OverflowError):
            raise DecodeError(f"invalid escape sequence: `{self._text[begin : begin + 2]}`") from None

    def _category(self, begin: int, negated: bool) -> Test:
        name = self._take()
        if name == "{":
            end = self._text.find("}", self._at)
            name = self._text[self._at : max(end, 0)]
            self._at = end + 1
            if name.startswith("^"):
                name, negated = name[1:], not negated
        if name not in _CATEGORIES:
            raise DecodeError(f"invalid character class range: `{self._text[begin : max(self._at, begin + 2)]}`")
        test: Test = lambda char: unicodedata.category(char).startswith(name)  # noqa: E731
        return _not(test) if negated else test

    def _class(self, begin: int) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._at += 1
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if not self._peek():
                raise DecodeError(f"missing closing ]: `{self._text[begin:]}`")
            tests.append(self._class_item())
        self._at += 1
        found = tuple(_folded(test) for test in tests) if self._flags.fold else tuple(tests)
        return lambda char: any(test(char) for test in found) != negated

    def _class_item(self) -> Test:
        begin = self._at
        if self._starts("[:"):
            end = self._text.find(":]", self._at + 2)
            if end >= 0:
                return self._posix(begin, end)
        char = self._take()
        if char == "\\":
            following = self._peek()
            if following.lower() in ("d", "w", "s", "p") and following:
                return self._escape(begin)
            char = self._escaped_char(begin)
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("", "]"):
            return self._literal(char)
        self._at += 1
        high_begin = self._at
        high = self._take()
        if high == "\\":
            high = self._escaped_char(high_begin)
        if high < char:
            raise DecodeError(f"invalid character class range: `{self._text[begin : self._at]}`")
        return lambda other: char <= other <= high

    def _escaped_char(self, begin: int) -> str:
        char = self._take()
        if char == "x":
            return self._hexadecimal(begin)
        if char in _ESCAPES or not char.isalnum():
            return _ESCAPES.get(char, char)
        raise DecodeError(f"invalid escape sequence: `{self._text[begin : self._at]}`")

    def _posix(self, begin: int, end: int) -> Test:
        name = self._text[begin + 2 : end]
        negated = name.startswith("^")
        test = _POSIX.get(name.lstrip("^"))
        if test is None:
            raise DecodeError(f"invalid character class range: `{self._text[begin : end + 2]}`")
        self._at = end + 2
        return _not(test) if negated else test
