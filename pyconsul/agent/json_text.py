"""Configuration text in JSON to plain values, with the messages of Go's decoder.

Strict: no comments, no trailing commas, no byte order mark; of doubled keys the last counts; every number is a float.
"""

from __future__ import annotations

import json
from typing import NoReturn

from pyconsul.codec.quote import quote
from pyconsul.errors import ConfigError

DEPTH_MAX = 100
"""Objects and lists inside one another; configuration needs six."""

_BLANK = " \t\r\n"
_HEX = "0123456789abcdefABCDEF"


def parse_json_object(text: str) -> dict[str, object]:
    """The object that the text is. Raises ConfigError with Go's message."""
    _Checker(text).document()
    value: object = json.loads(text, parse_int=float)
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    kind = {list: "array", str: "string", float: "number", bool: "bool"}[type(value)]
    raise ConfigError(f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")


class _Checker:
    """Walks over the text and raises at the first byte that Go's scanner refuses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def document(self) -> None:
        self._value()
        self._blanks()
        if self._at < len(self._text):
            self._refuse("after top-level value")

    def _refuse(self, where: str) -> NoReturn:
        if self._at >= len(self._text):
            raise ConfigError("unexpected end of JSON input")
        # Go looks at bytes and shows the first one of a character.
        byte = self._text[self._at].encode("utf-8", "surrogateescape")[0]
        shown = {"'": "'\\''", '"': "'\"'"}.get(chr(byte), f"'{quote(chr(byte))[1:-1]}'")
        raise ConfigError(f"invalid character {shown} {where}")

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANK:
            self._at += 1

    def _peek(self) -> str:
        """The next character after blanks; empty at the end."""
        self._blanks()
        return self._text[self._at : self._at + 1]

    def _value(self, *, or_end_of_list: bool = False) -> None:
        char = self._peek()
        if char in ("{", "["):
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise ConfigError("exceeded max depth")
            self._at += 1
            if char == "{":
                self._object()
            else:
                self._list()
            self._depth -= 1
        elif char == '"':
            self._string()
        elif char in ("t", "f", "n") and char:
            self._word({"t": "true", "f": "false", "n": "null"}[char])
        elif char == "-" or char.isdecimal():
            self._number()
        elif not (or_end_of_list and char == "]"):
            self._refuse("looking for beginning of value")

    def _object(self) -> None:
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            if self._peek() != '"':
                self._refuse("looking for beginning of object key string")
            self._string()
            if self._peek() != ":":
                self._refuse("after object key")
            self._at += 1
            self._value()
            char = self._peek()
            if char not in (",", "}"):
                self._refuse("after object key:value pair")
            self._at += 1
            if char == "}":
                return

    def _list(self) -> None:
        self._value(or_end_of_list=True)
        while True:
            char = self._peek()
            if char not in (",", "]"):
                self._refuse("after array element")
            self._at += 1
            if char == "]":
                return
            self._value()

    def _string(self) -> None:
        self._at += 1
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char == '"':
                self._at += 1
                return
            if char < " ":
                self._refuse("in string literal")
            self._at += 1
            if char == "\\":
                self._escape()
        self._refuse("in string literal")

    def _escape(self) -> None:
        char = self._text[self._at : self._at + 1]
        if char == "u":
            for _ in range(4):
                self._at += 1
                if self._text[self._at : self._at + 1] not in _HEX or self._at >= len(self._text):
                    self._refuse("in \\u hexadecimal character escape")
        elif not char or char not in '"\\/bfnrt':
            self._refuse("in string escape code")
        self._at += 1

    def _word(self, word: str) -> None:
        for expected in word:
            if self._text[self._at : self._at + 1] != expected:
                self._refuse(f"in literal {word} (expecting {quote(expected)[1:-1].join(chr(39) * 2)})")
            self._at += 1

    def _digits(self, where: str) -> None:
        if self._text[self._at : self._at + 1] not in tuple("0123456789"):
            self._refuse(where)
        while self._text[self._at : self._at + 1] in tuple("0123456789"):
            self._at += 1

    def _number(self) -> None:
        if self._text[self._at] == "-":
            self._at += 1
        if self._text[self._at : self._at + 1] == "0":
            self._at += 1
        else:
            self._digits("in numeric literal")
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._text[self._at : self._at + 1] in ("e", "E"):
            self._at += 1
            if self._text[self._at : self._at + 1] in ("+", "-"):
                self._at += 1
            self._digits("in exponent of numeric literal")
