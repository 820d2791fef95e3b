"""A state machine that was replaced is taken apart in steps."""

from __future__ import annotations

import gc
import weakref

from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import KVSet
from pyconsul.state import kv
from pyconsul.state.store import Store


def test_it_ends_empty_in_steps_and_needs_no_garbage_collector() -> None:
    machine = StateMachine(Store())
    count = 3 * kv._DISMANTLE_STEP + 7
    for index in range(1, count + 1):
        machine.apply(index, KVSet(b"%d" % index, b"x"))
    steps = 0
    for _ in machine.dismantle():
        steps += 1
        assert len(machine.store.kv) >= count - steps * kv._DISMANTLE_STEP
    assert len(machine.store.kv) == 0
    assert machine.store.kv.list(b"") == []
    assert steps == 8, "four for the entries, four for their order"
    gone = weakref.ref(machine)
    gc.disable()
    try:
        del machine
        assert gone() is None
    finally:
        gc.enable()
