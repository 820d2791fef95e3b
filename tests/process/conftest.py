"""Fixtures for tests with real agent processes; lets the tests here import their helpers, and the checkers."""

import sys
from pathlib import Path

from pyconsul.testing.fixtures import one_server, shared_server, shared_servers, three_servers

__all__ = ["one_server", "shared_server", "shared_servers", "three_servers"]

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]
