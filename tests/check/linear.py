"""Whether a history of operations on one object can be explained by some order in which they took effect.

After Wing and Gong: try the operations one after another, each between its call and its return, and remember visited
pairs of (operations done, state) so that nothing is tried twice. An operation whose answer never came may have taken
effect at any later time, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

State = Hashable
Step = Callable[[State, "Operation"], "tuple[State] | None"]


@dataclass(frozen=True)
class Operation:
    """``returned`` inf and ``result`` None: no answer came. Times of one clock; argument and result are the model's."""

    client: int
    kind: str
    argument: Any
    result: Any
    called: float
    returned: float = inf

    @property
    def known(self) -> bool:
        return self.returned != inf


def linearizable(operations: Sequence[Operation], initial: State, step: Step) -> bool:
    """``step(state, operation)`` gives the state after it as a tuple of one, or None when its result contradicts the
    state. For an operation without an answer any result is right."""
    ordered = sorted(operations, key=lambda operation: operation.called)
    count = len(ordered)
    must = 0
    for number, operation in enumerate(ordered):
        if operation.known:
            must |= 1 << number

    def candidates(done: int) -> list[int]:
        """Those not done that were called before the first of them returned; answered ones last, to be popped first."""
        found = []
        horizon = inf
        number = first_open(done)
        while number < count:
            operation = ordered[number]
            if operation.called > horizon:
                break
            if not done >> number & 1:
                found.append(number)
                horizon = min(horizon, operation.returned)
            number += 1
        found = [each for each in found if ordered[each].called <= horizon]
        found.sort(key=lambda each: (ordered[each].known, -ordered[each].returned))
        return found

    def first_open(done: int) -> int:
        inverted = ~done
        return (inverted & -inverted).bit_length() - 1

    seen: set[tuple[int, State]] = set()
    stack: list[tuple[int, State, list[int]]] = [(0, initial, candidates(0))]
    while stack:
        done, state, left = stack[-1]
        if done & must == must:
            return True
        if not left:
            stack.pop()
            continue
        number = left.pop()
        after = step(state, ordered[number])
        if after is None:
            continue
        visited = (done | 1 << number, after[0])
        if visited in seen:
            continue
        seen.add(visited)
        stack.append((visited[0], visited[1], candidates(visited[0])))
    return False


def register(state: State, operation: Operation) -> tuple[State] | None:
    """A key: its state is the value, None when there is none. Values are never written twice.

    read: result is the value. write: argument the value. cas: argument (expected, new), result whether it was done.
    delete: no argument.
    """
    kind = operation.kind
    if kind == "read":
        return (state,) if not operation.known or operation.result == state else None
    if kind == "write":
        return (operation.argument,)
    if kind == "delete":
        return (None,)
    if kind == "cas":
        expected, new = operation.argument
        matches = state == expected
        if operation.known and operation.result != matches:
            return None
        return (new,) if matches else (state,)
    raise ValueError(f"unknown kind of operation: {kind}")


def explained(operations: Sequence[Operation]) -> bool:
    """``linearizable`` for keys, fast when many operations had no answer: those whose value nobody ever saw probably
    never happened, so first an explanation without them is looked for, and only then one with them."""
    seen = {operation.result for operation in operations if operation.kind == "read" and operation.known}
    seen |= {operation.argument[0] for operation in operations if operation.kind == "cas"}
    likely = [operation for operation in operations if operation.known or _written(operation) in seen]
    return linearizable(likely, None, register) or linearizable(operations, None, register)


def _written(operation: Operation) -> Any:
    return operation.argument[1] if operation.kind == "cas" else operation.argument
