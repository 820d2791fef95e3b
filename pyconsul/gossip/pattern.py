"""Regular expressions in time proportional to text times pattern, whatever a peer sends (Thompson's construction).

The subset of Go's syntax that filters use: literals, ``.``, classes, ``\\d \\w \\s \\b``-free escapes, ``^ $``, groups,
``|``, ``* + ? {m,n}`` also with a trailing ``?``, and ``(?i)`` at the start. Anything else is a DecodeError.
"""

from __future__ import annotations

from collections.abc import Callable

from pyconsul.errors import DecodeError

EXPRESSION_MAX = 512
STATES_MAX = 4096
REPEAT_MAX = 1000

Test = Callable[[str], bool]

_CLASSES: dict[str, Test] = {
    "d": lambda char: "0" <= char <= "9",
    "w": lambda char: char == "_" or (char.isascii() and char.isalnum()),
    "s": lambda char: char in "\t\n\f\r ",
}
_ESCAPES = {"t": "\t", "n": "\n", "f": "\f", "r": "\r", "v": "\v", "a": "\a"}


class _State:
    """``test``: consumes one character; ``assertion``: 1 text start, 2 text end; otherwise jumps for free."""

    __slots__ = ("assertion", "next", "test")

    def __init__(self, test: Test | None = None, assertion: int = 0) -> None:
        self.test = test
        self.assertion = assertion
        self.next: list[_State] = []


class _Fragment:
    """Part of the automaton with one way in and one way out."""

    __slots__ = ("end", "start")

    def __init__(self, start: _State, end: _State) -> None:
        self.start = start
        self.end = end


class Pattern:
    """Raises DecodeError when the expression is not understood or too large."""

    def __init__(self, expression: str) -> None:
        if len(expression) > EXPRESSION_MAX:
            raise DecodeError("regular expression too long")
        self._text = expression
        self._position = 0
        self._states = 0
        self._fold = expression.startswith("(?i)")
        if self._fold:
            self._position = 4
        fragment = self._alternatives(0)
        if self._position < len(self._text):
            raise DecodeError("unmatched ) in regular expression")
        self._start = fragment.start
        self._accept = fragment.end

    def search(self, text: str) -> bool:
        """Whether any part of ``text`` matches."""
        if self._fold:
            text = text.lower()
        current: set[_State] = set()
        for index in range(len(text) + 1):
            self._add(self._start, current, index == 0, index == len(text))
            if self._accept in current:
                return True
            if index == len(text):
                return False
            char = text[index]
            following: set[_State] = set()
            for state in current:
                if state.test is not None and state.test(char):
                    for target in state.next:
                        self._add(target, following, False, index + 1 == len(text))
            current = following
        return False

    def _add(self, state: _State, found: set[_State], at_start: bool, at_end: bool) -> None:
        waiting = [state]
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found.add(state)
            if state.test is not None or (state.assertion == 1 and not at_start):
                continue
            if state.assertion == 2 and not at_end:
                continue
            waiting.extend(state.next)

    # --- parsing -----------------------------------------------------------------------------------------------

    def _state(self, test: Test | None = None, assertion: int = 0) -> _State:
        self._states += 1
        if self._states > STATES_MAX:
            raise DecodeError("regular expression too large")
        return _State(test, assertion)

    def _peek(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else ""

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise DecodeError("regular expression ends too early")
        self._position += 1
        return char

    def _empty(self) -> _Fragment:
        start, end = self._state(), self._state()
        start.next.append(end)
        return _Fragment(start, end)

    def _single(self, test: Test) -> _Fragment:
        start, end = self._state(test), self._state()
        start.next.append(end)
        return _Fragment(start, end)

    def _alternatives(self, depth: int) -> _Fragment:
        if depth > 50:
            raise DecodeError("regular expression nested too deeply")
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self._take()
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        start, end = self._state(), self._state()
        for branch in branches:
            start.next.append(branch.start)
            branch.end.next.append(end)
        return _Fragment(start, end)

    def _sequence(self, depth: int) -> _Fragment:
        whole = self._empty()
        while self._peek() not in ("", "|", ")"):
            part = self._repeated(depth)
            whole.end.next.append(part.start)
            whole.end = part.end
        return whole

    def _repeated(self, depth: int) -> _Fragment:
        begin = self._position
        part = self._atom(depth)
        least, most = self._repetition()
        if (least, most) == (1, 1):
            return part
        after = self._position
        whole = self._empty()
        for count in range(max(least, most, 1) if most >= 0 else max(least, 1)):
            if count > 0:
                # The automaton has no counters: the atom is read again for each copy.
                self._position = begin
                part = self._atom(depth)
            if count >= least:
                part = self._optional(part)
            whole.end.next.append(part.start)
            if most < 0 and count == max(least, 1) - 1:
                self._loop(part)
            whole.end = part.end
        self._position = after
        return self._empty() if most == 0 else whole

    def _optional(self, part: _Fragment) -> _Fragment:
        start, end = self._state(), self._state()
        start.next += [part.start, end]
        part.end.next.append(end)
        return _Fragment(start, end)

    def _loop(self, part: _Fragment) -> None:
        part.end.next.append(part.start)

    def _repetition(self) -> tuple[int, int]:
        """Least and most copies; most -1: any number."""
        char = self._peek()
        found = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(char)
        if found is not None:
            self._take()
        elif char == "{" and (braces := self._braces()) is not None:
            found = braces
        else:
            return (1, 1)
        if self._peek() == "?":
            self._take()  # lazy: the same texts match
        if self._peek() in ("*", "+", "?"):
            raise DecodeError("repetition of a repetition in a regular expression")
        return found

    def _braces(self) -> tuple[int, int] | None:
        end = self._text.find("}", self._position)
        first, comma, second = self._text[self._position + 1 : max(end, 0)].partition(",")
        if end < 0 or not first.isdecimal() or not (second == "" or second.isdecimal()) or len(first + second) > 8:
            return None  # a literal brace
        least = int(first)
        most = int(second) if second else (-1 if comma else least)
        if least > REPEAT_MAX or most > REPEAT_MAX or 0 <= most < least:
            raise DecodeError("bad repetition count in a regular expression")
        self._position = end + 1
        return (least, most)

    def _atom(self, depth: int) -> _Fragment:
        char = self._take()
        if char == "(":
            if self._text.startswith("?:", self._position):
                self._position += 2
            elif self._peek() == "?":
                raise DecodeError("unsupported group in a regular expression")
            inside = self._alternatives(depth + 1)
            if self._take() != ")":
                raise DecodeError("missing ) in a regular expression")
            return inside
        if char in "^$":
            start, end = self._state(assertion=1 if char == "^" else 2), self._state()
            start.next.append(end)
            return _Fragment(start, end)
        if char in "*+?":
            raise DecodeError("nothing to repeat in a regular expression")
        if char == ".":
            return self._single(lambda other: other != "\n")
        if char == "[":
            return self._single(self._class())
        if char == "\\":
            return self._single(self._escape())
        return self._single(self._literal(char))

    def _literal(self, char: str) -> Test:
        wanted = char.lower() if self._fold else char
        return lambda other: other == wanted

    def _escape(self) -> Test:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.lower() in _CLASSES:
            inside = _CLASSES[char.lower()]
            return lambda other: not inside(other)
        if char.isalnum() and char not in _ESCAPES:
            raise DecodeError(f"unsupported escape \\{char} in a regular expression")
        return self._literal(_ESCAPES.get(char, char))

    def _class(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._take()
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            first = False
            char = self._take()
            if char == "[" and self._peek() == ":":
                raise DecodeError("unsupported class in a regular expression")
            if char == "\\":
                tests.append(self._escape())
            elif self._peek() == "-" and self._text[self._position + 1 : self._position + 2] not in ("", "]"):
                self._take()
                tests.append(self._range(char, self._take()))
            else:
                tests.append(self._literal(char))
        self._take()
        return lambda other: any(test(other) for test in tests) != negated

    def _range(self, low: str, high: str) -> Test:
        if low > high or high == "\\":
            raise DecodeError("bad range in a regular expression")
        if self._fold:
            return lambda other: low <= other <= high or low <= other.upper() <= high
        return lambda other: low <= other <= high
