"""The checker itself: histories that are known to be good and bad, and random ones made good or broken on purpose."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from linear import Operation, State, explained, linearizable, register


def read(client: int, value: object, called: float, returned: float) -> Operation:
    return Operation(client, "read", None, value, called, returned)


def write(client: int, value: object, called: float, returned: float = float("inf")) -> Operation:
    return Operation(client, "write", value, True if returned != float("inf") else None, called, returned)


def cas(client: int, expected: object, new: object, done: bool, called: float, returned: float) -> Operation:
    return Operation(client, "cas", (expected, new), done, called, returned)


GOOD = {
    "nothing": [],
    "one after another": [write(1, "a", 0, 1), read(2, "a", 2, 3), write(1, "b", 4, 5), read(2, "b", 6, 7)],
    "overlapping, either order": [write(1, "a", 0, 10), read(2, None, 1, 2), read(2, "a", 3, 4)],
    "a write without answer is seen": [write(1, "a", 0), read(2, None, 1, 2), read(2, "a", 100, 101)],
    "a write without answer never happens": [write(1, "a", 0), read(2, None, 100, 101)],
    "a write without answer happens late": [write(1, "a", 0), write(2, "b", 1, 2), read(2, "b", 3, 4),
                                             read(2, "a", 5, 6)],
    "one of two compare-and-sets wins": [cas(1, None, "a", True, 0, 10), cas(2, None, "b", False, 0, 10),
                                         read(1, "a", 11, 12)],
    "two overlapping writes, read as the later": [write(1, "a", 0, 5), write(2, "b", 1, 6), read(3, "a", 7, 8)],
}  # fmt: skip

BAD = {
    "a lost write": [write(1, "a", 0, 1), read(2, None, 2, 3)],
    "a stale read": [write(1, "a", 0, 1), write(1, "b", 2, 3), read(2, "a", 4, 5)],
    "time runs backwards": [write(1, "a", 0, 1), write(2, "b", 2, 10), read(3, "b", 3, 4), read(3, "a", 5, 6)],
    "a value from nowhere": [read(1, "x", 0, 1)],
    "both compare-and-sets win": [cas(1, None, "a", True, 0, 10), cas(2, None, "b", True, 0, 10)],
    "none of two compare-and-sets wins": [cas(1, None, "a", False, 0, 10), cas(2, None, "b", False, 0, 10)],
    "a write without answer is seen and undone": [write(1, "a", 0), read(2, "a", 1, 2), read(2, None, 3, 4)],
    "read before it was called": [read(1, "a", 0, 1), write(2, "a", 2, 3)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories_are_explained(name: str) -> None:
    assert linearizable(GOOD[name], None, register)


@pytest.mark.parametrize("name", BAD)
def test_bad_histories_are_not(name: str) -> None:
    assert not linearizable(BAD[name], None, register)


def slow_and_obvious(operations: list[Operation]) -> bool:
    """All orders of all subsets that contain what was answered."""
    maybe = [operation for operation in operations if not operation.known]
    sure = [operation for operation in operations if operation.known]
    for chosen in range(1 << len(maybe)):
        those = sure + [operation for number, operation in enumerate(maybe) if chosen >> number & 1]
        for order in permutations(those):
            if explains(list(order)):
                return True
    return False


def explains(order: list[Operation]) -> bool:
    state: State = None
    for number, operation in enumerate(order):
        if any(later.returned < operation.called for later in order[number + 1 :]):
            return False
        after = register(state, operation)
        if after is None:
            return False
        state = after[0]
    return True


def small_history(chance: random.Random) -> list[Operation]:
    operations = []
    for number in range(chance.randint(1, 6)):
        called = chance.uniform(0, 10)
        returned = float("inf") if chance.random() < 0.2 else called + chance.uniform(0, 6)
        known = returned != float("inf")
        kind = chance.choice(["read", "write", "cas", "delete"])
        value = chance.choice([None, "v0", "v1", "v2"])
        if kind == "read":
            operations.append(Operation(number, kind, None, value if known else None, called, returned))
        elif kind == "write":
            operations.append(Operation(number, kind, f"v{number}", True if known else None, called, returned))
        elif kind == "delete":
            operations.append(Operation(number, kind, None, True if known else None, called, returned))
        else:
            done = chance.random() < 0.5 if known else None
            operations.append(Operation(number, kind, (value, f"v{number}"), done, called, returned))
    return operations


def test_it_agrees_with_trying_everything() -> None:
    chance = random.Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(500):
        history = small_history(chance)
        verdict = linearizable(history, None, register)
        assert verdict == slow_and_obvious(history), history
        assert verdict == explained(history), history
        verdicts[verdict] += 1
    assert min(verdicts.values()) > 50, verdicts


def long_history(chance: random.Random, count: int) -> list[Operation]:
    """A real register, used by five clients; now and then an answer gets lost."""
    state: object = None
    operations: list[Operation] = []
    free = [0.0] * 5
    effects = sorted((chance.uniform(0, count / 4), chance.randrange(5)) for _ in range(count))
    for number, (at, client) in enumerate(effects):
        if at <= free[client]:
            continue
        called = max(free[client], at - chance.uniform(0, 1.0))
        returned = at + chance.uniform(0, 1.0)
        free[client] = returned + 1e-6
        kind = chance.choice(["read", "read", "write", "cas"])
        lost = chance.random() < 0.05 and kind != "read"
        argument: object = None
        result: object = state
        if kind == "write":
            state = argument = f"w{number}"
            result = True
        elif kind == "cas":
            expected = state if chance.random() < 0.7 else "something else"
            argument, result = (expected, f"c{number}"), expected == state
            state = f"c{number}" if result else state
        operations.append(
            Operation(client, kind, argument, None if lost else result, called, float("inf") if lost else returned)
        )
    return operations


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_long_histories_of_a_real_register_are_explained_and_broken_ones_are_not(seed: int) -> None:
    history = long_history(random.Random(seed), 600)
    assert linearizable(history, None, register)
    reads = [number for number, operation in enumerate(history) if operation.kind == "read"]
    late = history[reads[-1]]
    first = next(operation for operation in history if operation.kind == "write" and operation.known)
    history[reads[-1]] = Operation(late.client, "read", None, first.argument, late.called, late.returned)
    assert not linearizable(history, None, register)
