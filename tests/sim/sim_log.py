"""The servers' log: nobody reads it, but an exception that was only written there is a failure of the run."""

from __future__ import annotations

import logging
import sys

from world import current_process

HANDLER_FAILED = "failed to handle"
"""How a gossip pool begins when its application's exception came back to it."""


class _Failures(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None and HANDLER_FAILED in record.getMessage():
            error = sys.exc_info()[1]
        if error is not None:
            current_process().world.failures.append(error)


LOGGER = logging.getLogger("sim")
LOGGER.setLevel(logging.ERROR)
LOGGER.propagate = False
LOGGER.handlers = [_Failures(logging.ERROR)]
