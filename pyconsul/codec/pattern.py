"""Regular expressions in time proportional to text times expression, whoever wrote them (Thompson's construction).

Python's own ``re`` may take exponential time; whatever comes from a client or a peer is matched with this. Which syntax
is known: regexp_syntax.py.
"""

from __future__ import annotations

from pyconsul.codec.regexp_syntax import Assertion, Both, Char, Either, Node, Place, Test, parse
from pyconsul.errors import DecodeError

EXPRESSION_MAX = 1024
STATES_MAX = 4096


class _State:
    """``test``: takes one character; ``fits``: passes at some places only; otherwise jumps for free."""

    __slots__ = ("fits", "next", "test")

    def __init__(self, test: Test | None = None, fits: Assertion | None = None) -> None:
        self.test = test
        self.fits = fits
        self.next: list[_State] = []


class Pattern:
    """Raises DecodeError, with Go's text, when the expression is not understood or too large."""

    def __init__(self, expression: str) -> None:
        if len(expression) > EXPRESSION_MAX:
            raise DecodeError("expression too large")
        self._states = 0
        self._start, self._accept = self._build(parse(expression))

    def search(self, text: str) -> bool:
        """Whether any part of ``text`` matches."""
        current: dict[_State, None] = {}
        before = ""
        for position in range(len(text) + 1):
            after = text[position : position + 1]
            self._add(self._start, current, before, after)
            if self._accept in current:
                return True
            if not after:
                return False
            behind = text[position + 1 : position + 2]
            following: dict[_State, None] = {}
            for state in current:
                if state.test is not None and state.test(after):
                    for target in state.next:
                        self._add(target, following, after, behind)
            current, before = following, after
        return False

    def _add(self, state: _State, found: dict[_State, None], before: str, after: str) -> None:
        """All states that are reached from here without taking a character."""
        waiting = [state]
        while waiting:
            state = waiting.pop()
            if state in found:
                continue
            found[state] = None
            if state.test is None and (state.fits is None or state.fits(before, after)):
                waiting.extend(state.next)

    # From the tree to states: each part has one way in and one way out

    def _state(self, test: Test | None = None, fits: Assertion | None = None) -> _State:
        self._states += 1
        if self._states > STATES_MAX:
            raise DecodeError("expression too large")
        return _State(test, fits)

    def _build(self, node: Node) -> tuple[_State, _State]:
        if isinstance(node, Char | Place):
            start = self._state(node.test) if isinstance(node, Char) else self._state(None, node.fits)
            end = self._state()
            start.next.append(end)
            return start, end
        if isinstance(node, Both):
            start = end = self._state()
            for part in node.parts:
                begin, after = self._build(part)
                end.next.append(begin)
                end = after
            return start, end
        if isinstance(node, Either):
            start, end = self._state(), self._state()
            for branch in node.branches:
                begin, after = self._build(branch)
                start.next.append(begin)
                after.next.append(end)
            return start, end
        return self._copies(node.part, node.least, node.most)

    def _copies(self, part: Node, least: int, most: int) -> tuple[_State, _State]:
        """The automaton has no counters: a part that may come n times is there n times."""
        start = end = self._state()
        for _ in range(least):
            begin, after = self._build(part)
            end.next.append(begin)
            end = after
        if most < 0:
            begin, after = self._build(part)
            loop = self._state()
            end.next.append(loop)
            loop.next.append(begin)
            after.next.append(loop)
            return start, loop
        last = self._state()
        for _ in range(most - least):
            end.next.append(last)
            begin, after = self._build(part)
            end.next.append(begin)
            end = after
        end.next.append(last)
        return start, last
