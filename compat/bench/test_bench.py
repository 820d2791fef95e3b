"""The benchmark in its smallest form, so that it never rots. It says nothing about speed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("bench.py")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_tiny(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--tiny", "--rounds=1", "--peers=pyconsul", "--groups=one,three"]
    ended = subprocess.run([*command, f"--out={tmp_path}"], capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stderr
    table = (tmp_path / "table.md").read_text()
    for title in ("one server, GET", "three servers, PUT at a follower", "wakes 1,000 blocking reads"):
        assert title in table
    assert (tmp_path / "chart.svg").read_text().startswith("<svg")
