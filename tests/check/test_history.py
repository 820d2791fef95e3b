"""Saved histories: what is judged good and bad."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from history import Book, Violated, judge, load


def test_a_history_survives_saving_and_is_judged(tmp_path: Path) -> None:
    book = Book()
    book.answered(book.call(1, "write", "a", "1", ""), True)
    book.answered(book.call(2, "read", "a", None, ""), "1")
    book.answered(book.call(1, "cas", "a", ["1", "2"], ""), True)
    book.unanswered(book.call(2, "write", "a", "3", ""))
    book.answered(book.call(1, "read", "a", None, "consistent"), "3")
    book.answered(book.call(1, "delete", "a", None, ""), True)
    book.held(1, 1.0, 2.0)
    book.held(2, 2.0, 3.0)
    book.save(tmp_path / "history.jsonl")
    counts = judge(load(tmp_path / "history.jsonl"))
    assert counts == {
        "answered": 5, "without answer": 1, "write": 2, "default reads": 1, "consistent reads": 1, "cas": 1,
        "delete": 1, "keys": 1, "locks held": 2,
    }  # fmt: skip


def test_an_acknowledged_write_that_vanished(tmp_path: Path) -> None:
    book = Book()
    book.answered(book.call(1, "write", "a", "1", ""), True)
    book.answered(book.call(9, "read", "a", None, "consistent"), None)
    book.save(tmp_path / "history.jsonl")
    with pytest.raises(Violated, match="history of a has no explanation"):
        judge(load(tmp_path / "history.jsonl"))


def test_a_lock_held_twice(tmp_path: Path) -> None:
    book = Book()
    book.held(1, 1.0, 2.0)
    book.held(2, 1.9, 3.0)
    book.save(tmp_path / "history.jsonl")
    with pytest.raises(Violated, match="held twice: by 1"):
        judge(load(tmp_path / "history.jsonl"))


def test_a_key_gives_way_to_the_next_after_enough_operations() -> None:
    book = Book()
    chance = random.Random(1)
    keys = [book.key(chance, 10) for _ in range(200)]
    assert max(keys.count(key) for key in set(keys)) <= 10
