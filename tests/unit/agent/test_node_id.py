"""The id of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyconsul.agent.node_id import read_host_id, setup_node_id, uuid_error
from pyconsul.errors import ConfigError
from pyconsul.storage.text_file import TextFile

ONE = "df8c49f7-7541-832e-9655-66cbe0524c7a"


class Kept:
    def __init__(self, text: str | None = None) -> None:
        self.text = text

    def read(self) -> str | None:
        return self.text

    def write(self, text: str) -> None:
        self.text = text


def test_an_id_is_made_once_and_kept(tmp_path: Path) -> None:
    store = TextFile(tmp_path / "data" / "node-id")
    first = setup_node_id("", str(tmp_path), store)
    assert uuid_error(first) is None
    assert setup_node_id("", str(tmp_path), store) == first
    assert (tmp_path / "data" / "node-id").read_bytes() == first.encode()


def test_a_given_id_is_lowered_and_not_written() -> None:
    store = Kept()
    assert setup_node_id(ONE.upper(), "d", store) == ONE
    assert store.text is None


def test_without_a_data_directory_nothing_is_kept() -> None:
    assert setup_node_id("", "", None, make=lambda: ONE) == ONE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "uuid string is wrong length"),
        ("df8c49f77541-832e-9655-66cbe0524c7a-", "uuid is improperly formatted"),
        ("zf8c49f7-7541-832e-9655-66cbe0524c7a", "encoding/hex: invalid byte: U+007A 'z'"),
    ],
)
def test_what_is_no_uuid_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as given:
        setup_node_id(text, "d", Kept())
    assert str(given.value) == f"failed to setup node ID: specified NodeID is invalid: {reason}"
    with pytest.raises(ConfigError) as kept:
        setup_node_id("", "d", Kept(text))
    assert str(kept.value) == f"failed to setup node ID: NodeID in d/node-id is invalid: {reason}"


def test_an_id_may_come_from_the_host_and_a_kept_one_wins() -> None:
    store = Kept()
    assert setup_node_id("", "d", store, from_host=True, host_id=lambda: ONE, make=lambda: "no") == ONE
    assert store.text == ONE
    other = ONE.replace("d", "e")
    assert setup_node_id("", "d", Kept(other), from_host=True, host_id=lambda: ONE) == other
    assert setup_node_id("", "d", Kept(), from_host=True, host_id=lambda: None, make=lambda: ONE) == ONE


def test_the_host_id_is_a_uuid_if_there_is_one() -> None:
    found = read_host_id()
    assert found is None or uuid_error(found) is None
    assert found == read_host_id()
