"""Short texts in files of their own."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from pyconsul.errors import DiskFullError, StorageError
from pyconsul.storage.files import Files
from pyconsul.storage.text_file import TEXT_BYTES_MAX, TextFile


def test_nothing_then_a_text_then_another(tmp_path: Path) -> None:
    path = tmp_path / "data" / "node-id"
    file = TextFile(path)
    assert file.read() is None
    file.write("one")
    assert file.read() == "one"
    file.write("two")
    assert TextFile(path).read() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["node-id"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_blanks_around_the_text_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(" a\n")
    assert TextFile(tmp_path / "x").read() == "a"


def test_a_leftover_of_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_text("half")
    TextFile(tmp_path / "x").write("whole")
    assert TextFile(tmp_path / "x").read() == "whole"


def test_a_long_file_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * (TEXT_BYTES_MAX + 1))
    with pytest.raises(StorageError, match="not a file of this program"):
        TextFile(tmp_path / "x").read()


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        TextFile(tmp_path / "x").read()


def test_a_full_disk_keeps_the_old_text(tmp_path: Path) -> None:
    class Full(Files):
        def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    TextFile(tmp_path / "x").write("old")
    with pytest.raises(DiskFullError):
        TextFile(tmp_path / "x", Full()).write("new")
    assert TextFile(tmp_path / "x").read() == "old"
