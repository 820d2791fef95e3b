"""The npm package consul: keys, sessions, transactions, services, watches."""

import os
from pathlib import Path

import pytest
from fetching import npm_client, run

from pyconsul.testing.processes import HTTP_PORT, AgentProcess

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_npm_consul(real_server: AgentProcess) -> None:
    folder = npm_client("npm_consul", HERE / "package.json", HERE / "package-lock.json")
    command = ["node", str(HERE / "checks.js"), real_server.address, str(HTTP_PORT)]
    output = run(command, folder, dict(os.environ))
    assert output.count(": holds") == 6
