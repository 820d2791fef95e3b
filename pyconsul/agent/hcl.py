"""Configuration text in HCL, version 1, to plain values.

Version 1, because that is what Consul's files are written in: items of an object may stand on one line without
commas (``{ type = "key" key = "a" }``), blocks work with and without ``=``, strings are not templates. The messages are
those that operators know from Consul: ``At 2:1: Unknown token: 2:1 IDENT foo``.

What comes out: str, int, float, bool, list, dict (an object inside a list, and the root) and ``Blocks`` (an object
that is the value of a key: a list, since a block may be repeated and it is for the reader to refuse that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from pyconsul.agent.json_text import parse_json_object
from pyconsul.errors import ConfigError

DEPTH_MAX = 100
"""Objects and lists inside one another; configuration needs six."""

_CLOSERS = {"{": "}", "[": "]"}
_PUNCTUATION = {"{": "LBRACE", "}": "RBRACE", "[": "LBRACK", "]": "RBRACK", ",": "COMMA", "=": "ASSIGN"}
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}
_VALUES = frozenset(("NUMBER", "FLOAT", "BOOL", "STRING", "HEREDOC"))


class Blocks(list[dict[str, object]]):
    """The objects that one key was given: ``ports { ... }`` once is a list of one."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int
    column: int
    value: object = None

    @property
    def position(self) -> str:
        return f"{self.line}:{self.column}"


def parse_hcl(text: str) -> dict[str, object]:
    """Raises ConfigError with the parser's own message. A text that begins with ``{`` is read as JSON."""
    if text.lstrip()[:1] == "{":
        return parse_json_object(text)
    return _Parser(_Scanner(text)).document()


def _fail(line: int, column: int, reason: str) -> NoReturn:
    raise ConfigError(f"At {line}:{column}: {reason}")


class _Scanner:
    """Text to tokens, one at a time. Linear: every character is looked at a bounded number of times."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0

    def _position(self, at: int) -> tuple[int, int]:
        return self._line, at - self._line_start + 1

    def next(self) -> _Token:
        self._skip()
        text, start = self._text, self._at
        line, column = self._position(start)
        if start >= len(text):
            return _Token("EOF", "", line, column)
        char = text[start]
        if char in _PUNCTUATION:
            self._at += 1
            return _Token(_PUNCTUATION[char], char, line, column)
        if char == '"':
            return self._string(line, column)
        if char == "<":
            return self._heredoc(line, column)
        if char.isalpha() or char == "_":
            while self._at < len(text) and (text[self._at].isalnum() or text[self._at] in "_-."):
                self._at += 1
            word = text[start : self._at]
            if word in ("true", "false"):
                return _Token("BOOL", word, line, column, word == "true")
            return _Token("IDENT", word, line, column)
        if char in "-0123456789":
            return self._number(line, column)
        return _fail(line, column, "illegal character")

    def _newline(self, at: int) -> None:
        self._line += 1
        self._line_start = at + 1

    def _skip(self) -> None:
        """Blanks and the three kinds of comments."""
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            if char == "\n":
                self._newline(self._at)
                self._at += 1
            elif char in " \t\r\ufeff":
                self._at += 1
            elif char == "#" or text.startswith("//", self._at):
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            elif text.startswith("/*", self._at):
                line, column = self._position(self._at)
                end = text.find("*/", self._at + 2)
                if end < 0:
                    _fail(line, column, "comment not terminated")
                for at in range(self._at, end):
                    if text[at] == "\n":
                        self._newline(at)
                self._at = end + 2
            elif char == "/":
                line, column = self._position(self._at)
                _fail(line, column, "expected '/' for comment")
            else:
                return

    def _string(self, line: int, column: int) -> _Token:
        text, start = self._text, self._at
        parts: list[str] = []
        braces = 0  # depth inside ${...}, where quotes and line breaks are ordinary characters
        at = start + 1
        while True:
            if at >= len(text) or (text[at] == "\n" and not braces):
                _fail(line, column, "literal not terminated")
            char = text[at]
            if char == '"' and not braces:
                break
            if char == "\\" and not braces:
                value, at = self._escape(at, line, column)
                parts.append(value)
                continue
            if text.startswith("${", at):
                braces += 1
                parts.append("${")
                at += 2
                continue
            if braces and char in "{}":
                braces += 1 if char == "{" else -1
            if char == "\n":
                self._newline(at)
            parts.append(char)
            at += 1
        self._at = at + 1
        return _Token("STRING", text[start : self._at], line, column, "".join(parts))

    def _escape(self, at: int, line: int, column: int) -> tuple[str, int]:
        """The character of the escape at ``at``, and where the text goes on."""
        text = self._text
        char = text[at + 1 : at + 2]
        if char in _ESCAPES:
            return _ESCAPES[char], at + 2
        if char in _HEX_ESCAPES:
            digits = text[at + 2 : at + 2 + _HEX_ESCAPES[char]]
            if len(digits) == _HEX_ESCAPES[char] and all(digit in "0123456789abcdefABCDEF" for digit in digits):
                number = int(digits, 16)
                if number < 0xD800 or 0xE000 <= number < 0x110000:
                    return chr(number), at + 2 + len(digits)
        return _fail(line, column, "illegal char escape")

    def _heredoc(self, line: int, column: int) -> _Token:
        text, start = self._text, self._at
        end = text.find("\n", start)
        anchor = text[start + 2 : end if end >= 0 else len(text)].rstrip("\r")
        indented = anchor.startswith("-")
        anchor = anchor.removeprefix("-")
        if not text.startswith("<<", start) or not anchor or not all(c.isalnum() or c in "_-" for c in anchor):
            _fail(line, column, "heredoc expected second '<' and an anchor")
        if end < 0:
            _fail(line, column, "heredoc not terminated")
        lines: list[str] = []
        self._newline(end)
        at = end + 1
        while True:
            end = text.find("\n", at)
            this = text[at : end if end >= 0 else len(text)]
            bare = this.rstrip("\r")
            if (bare.lstrip(" \t") if indented else bare) == anchor:
                break
            if end < 0:
                _fail(line, column, "heredoc not terminated")
            lines.append(this + "\n")
            self._newline(end)
            at = end + 1
        self._at = at + len(this)
        if indented:
            lines = _unindent(lines)
        return _Token("HEREDOC", text[start : self._at], line, column, "".join(lines))

    def _number(self, line: int, column: int) -> _Token:
        text, start = self._text, self._at
        at = start + 1
        while at < len(text) and (
            text[at].isalnum() or text[at] in "._" or (text[at] in "+-" and text[at - 1] in "eE")
        ):
            at += 1
        self._at = at
        word = text[start:at]
        digits = word.removeprefix("-")
        try:
            if digits[:2] in ("0x", "0X"):
                return _Token("NUMBER", word, line, column, int(word, 16))
            if digits.isdecimal() and len(digits) < 20:
                octal = len(digits) > 1 and digits[0] == "0"
                return _Token("NUMBER", word, line, column, int(word, 8 if octal else 10))
            if digits[:1].isdecimal() and all(char in "0123456789.eE+-" for char in digits):
                return _Token("FLOAT", word, line, column, float(word))
        except ValueError:
            _fail(line, column, "illegal octal number" if digits.isdecimal() else "illegal number")
        return _fail(line, column, "illegal number")


def _unindent(lines: list[str]) -> list[str]:
    """Without the blanks that all lines begin with; unchanged when a line has none."""
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    common = min(indents, default=0)
    return [line[common:] if line.strip() else line.lstrip(" \t") for line in lines]


class _Parser:
    def __init__(self, scanner: _Scanner) -> None:
        self._scanner = scanner
        self._token = scanner.next()
        self._depth = 0

    def _advance(self) -> _Token:
        """The current token; the next one becomes current."""
        token = self._token
        self._token = self._scanner.next()
        return token

    def document(self) -> dict[str, object]:
        return self._items("EOF")

    def _items(self, end: str) -> dict[str, object]:
        """Items up to the closing token, which stays current."""
        items: dict[str, object] = {}
        while self._token.kind != end:
            if self._token.kind == "EOF":
                _fail(self._token.line, self._token.column, "object expected closing RBRACE got: EOF")
            keys = self._keys()
            value = self._value()
            for key in reversed(keys[1:]):  # labels of a block are objects around it
                value = Blocks([{key: value}])
            earlier = items.get(keys[0])
            if isinstance(value, Blocks) and isinstance(earlier, Blocks):
                earlier.extend(value)
            else:
                items[keys[0]] = value
            if self._token.kind == "COMMA":
                self._advance()
        return items

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            token = self._token
            if token.kind in ("IDENT", "STRING"):
                keys.append(str(token.value) if token.kind == "STRING" else token.text)
                self._advance()
            elif not keys:
                _fail(token.line, token.column, f"expected: IDENT | STRING got: {token.kind}")
            elif token.kind == "ASSIGN":
                if len(keys) > 1:
                    _fail(token.line, token.column, "nested object expected: LBRACE got: ASSIGN")
                self._advance()
                return keys
            elif token.kind == "LBRACE":
                return keys
            else:
                names = " ".join(keys)
                expected = f"key '{names}' expected start of object ('{{') or assignment ('=')"
                _fail(token.line, token.column, expected)

    def _value(self, *, in_list: bool = False) -> object:
        token = self._token
        if token.kind in _VALUES:
            self._advance()
            return token.value
        if token.kind == "EOF":
            raise ConfigError("EOF token found")
        if token.kind not in ("LBRACE", "LBRACK"):
            _fail(token.line, token.column, f"Unknown token: {token.position} {token.kind} {token.text}")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            _fail(token.line, token.column, f"more than {DEPTH_MAX} objects and lists inside one another")
        self._advance()
        value: object
        if token.kind == "LBRACK":
            value = self._list()
        else:
            item = self._items("RBRACE")
            value = item if in_list else Blocks([item])
        self._advance()
        self._depth -= 1
        return value

    def _list(self) -> list[object]:
        """Values up to the closing bracket, which stays current."""
        values: list[object] = []
        while self._token.kind != "RBRACK":
            values.append(self._value(in_list=True))
            if self._token.kind == "COMMA":
                self._advance()
            elif self._token.kind != "RBRACK":
                token = self._token
                reason = f"error parsing list, expected comma or list end, got: {token.kind}"
                _fail(token.line, token.column, reason)
        return values
