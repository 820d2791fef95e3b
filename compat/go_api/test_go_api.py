"""Consul's own Go client."""

from pathlib import Path

import pytest
from fetching import go_test

from pyconsul.testing.processes import HTTP_PORT, AgentProcess


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_go_api(real_server: AgentProcess) -> None:
    output = go_test(Path(__file__).parent, f"{real_server.address}:{HTTP_PORT}")
    assert output.count("--- PASS") == 9
