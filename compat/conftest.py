"""Makes the folders here importable by name: each is a small program of its own, not part of the package.

``real_server`` is one agent for the tests of a module.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconsul.testing.fixtures import shared_server, shared_servers, three_servers
from pyconsul.testing.processes import AgentProcess, whole_cluster

__all__ = ["shared_server", "shared_servers", "three_servers"]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """A lone server; sessions of one second are allowed, as libkv's own tests need it."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "short-sessions.json"
    config.write_text('{"session_ttl_min": "1s"}')
    with whole_cluster(folder, 1, ["-config-file", str(config)]) as cluster:
        yield cluster.agents[0]
