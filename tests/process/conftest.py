"""Fixtures for tests with real agent processes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconsul.testing.processes import Cluster

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]


@pytest.fixture
def three_servers(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, size=3) as cluster:
        cluster.start()
        yield cluster
    cluster.assert_no_tracebacks()


@pytest.fixture
def one_server(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, size=1) as cluster:
        cluster.start()
        yield cluster
    cluster.assert_no_tracebacks()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One server for tests that leave it as they found it."""
    with Cluster(tmp_path_factory.mktemp("server"), size=1) as cluster:
        cluster.start()
        yield cluster
    cluster.assert_no_tracebacks()
