"""The run-length table of terms against a plain dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.errors import InvariantError
from pyconsul.raft.messages import Entry
from pyconsul.storage.terms import UNKNOWN, Terms


@given(st.data())
def test_terms_agree_with_a_dictionary(data: st.DataObject) -> None:
    terms, model, base = Terms(), {0: 0}, 0
    for _ in range(data.draw(st.integers(1, 25))):
        last = max(model)
        what = data.draw(st.sampled_from(["place", "place", "place", "drop", "reset"]))
        if what == "place":
            first = data.draw(st.integers(max(base + 1, last - 4), last + 1))
            term = model[first - 1]
            added = []
            for index in range(first, first + data.draw(st.integers(1, 5))):
                term += data.draw(st.sampled_from([0, 0, 1]))
                added.append(Entry(term, index, 0, b""))
            terms.check(added)
            terms.place(added)
            model = {index: known for index, known in model.items() if index < first}
            model.update({entry.index: entry.term for entry in added})
        elif what == "drop":
            base = data.draw(st.integers(base, last))
            terms.drop_to(base)
            model = {index: known for index, known in model.items() if index >= base}
        else:
            base = last + data.draw(st.integers(0, 5))
            model = {base: model[last] + data.draw(st.integers(0, 2))}
            terms.reset(base, model[base])
        assert terms.base_index == base
        assert terms.last_index == max(model)
        assert terms.last_term == model[max(model)]
        for index in range(base - 2, max(model) + 3):
            assert terms.term_at(index) == model.get(index)


def test_a_base_nobody_knows_the_term_of() -> None:
    terms = Terms(10, UNKNOWN)
    assert terms.term_at(10) is None
    terms.check([Entry(1, 11, 0, b"")])
    terms.place([Entry(1, 11, 0, b"")])
    assert terms.term_at(11) == 1


def test_only_stored_entries_can_be_dropped() -> None:
    with pytest.raises(InvariantError, match="only stored entries are dropped"):
        Terms(10, 1).drop_to(11)
