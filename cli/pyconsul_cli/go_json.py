"""What is wrong with a text that is not JSON, in the words of Go's decoder."""

from __future__ import annotations


def explain(data: bytes, error: ValueError) -> str:
    """The reason alone."""
    from json import JSONDecodeError

    if not isinstance(error, JSONDecodeError):
        return "invalid character in string literal" if isinstance(error, UnicodeDecodeError) else str(error)
    text = error.doc
    at = error.pos
    if at >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    letter = _quoted(text[at])
    if error.msg.startswith("Extra data"):
        return f"invalid character {letter} after top-level value"
    if error.msg.startswith("Expecting property name"):
        return f"invalid character {letter} looking for beginning of object key string"
    if error.msg.startswith("Expecting ':'"):
        return f"invalid character {letter} after object key"
    if error.msg.startswith("Expecting ','"):
        inside = "object key:value pair" if _in_object(text[:at]) else "array element"
        return f"invalid character {letter} after {inside}"
    if error.msg.startswith("Invalid control character"):
        return f"invalid character {letter} in string literal"
    if error.msg.startswith("Invalid \\"):
        return f"invalid character {_quoted(text[at + 1 : at + 2])} in string escape code"
    return f"invalid character {letter} looking for beginning of value"


def _quoted(letter: str) -> str:
    named = {"'": "'\\''", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'", '"': "'\"'"}
    return named.get(letter, f"'{letter}'")


def _in_object(text: str) -> bool:
    """Whether the innermost open bracket is a brace."""
    open_brackets = []
    inside = escaped = False
    for letter in text:
        if inside:
            inside = escaped or letter != '"'
            escaped = not escaped and letter == "\\"
        elif letter == '"':
            inside = True
        elif letter in "[{":
            open_brackets.append(letter)
        elif letter in "]}" and open_brackets:
            open_brackets.pop()
    return bool(open_brackets) and open_brackets[-1] == "{"
