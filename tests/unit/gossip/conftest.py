from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from gossip_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
