"""The Python client python-consul2: keys, waiting, sessions, locks, transactions, services, events."""

import os
import sys
from pathlib import Path

import pytest
from fetching import python_client, run

from pyconsul.testing.processes import HTTP_PORT, AgentProcess

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_python_consul2(real_server: AgentProcess, tmp_path: Path) -> None:
    packages = python_client("python_consul2", HERE / "requirements.txt")
    command = [sys.executable, str(HERE.parent / "python_checks.py"), real_server.address, str(HTTP_PORT)]
    output = run(command, tmp_path, {**os.environ, "PYTHONPATH": str(packages)})
    assert output.count(": holds") == 7
