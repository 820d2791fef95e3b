"""Tests of the API run on both event loops: they tell of full buffers and closed connections in their own ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Of pytest-asyncio 1.4 and later; with older ones the tests run on asyncio's own loop alone."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
