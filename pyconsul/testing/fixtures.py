"""Fixtures for pytest: whole clusters of agents as processes, for a ``conftest.py`` to import by name.

Those called shared live as long as a module of tests, which leave them as they found them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconsul.testing.processes import Cluster, whole_cluster


@pytest.fixture
def one_server(tmp_path: Path) -> Iterator[Cluster]:
    with whole_cluster(tmp_path, 1) as cluster:
        yield cluster


@pytest.fixture
def three_servers(tmp_path: Path) -> Iterator[Cluster]:
    with whole_cluster(tmp_path, 3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with whole_cluster(tmp_path_factory.mktemp("server"), 1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three of them."""
    with whole_cluster(tmp_path_factory.mktemp("servers"), 3) as cluster:
        yield cluster
