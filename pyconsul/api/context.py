"""What all handlers share: the backend, the settings, the kept events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyconsul.api.limits import HttpSettings
from pyconsul.clock import Clock, Random
from pyconsul.errors import CallerError
from pyconsul.server.backend import Backend

if TYPE_CHECKING:
    from pyconsul.api.events import EventBuffer
    from pyconsul.api.request import Request
    from pyconsul.api.response import Answer

NO_PATH = "No path to datacenter"


class Api:
    """``settings`` may be replaced at any time (a reload); ``ui_handler`` answers ``/ui/…`` when the page is there."""

    def __init__(
        self, backend: Backend, settings: HttpSettings, events: EventBuffer, clock: Clock, random: Random
    ) -> None:
        self.backend = backend
        self.consensus = backend.consensus
        self.settings = settings
        self.events = events
        self.clock = clock
        self.random = random
        self.ui_handler: Callable[[Request], Answer] | None = None

    def check_datacenter(self, name: str) -> None:
        """Raises CallerError (500) when no server of that datacenter is known; "" is the own one."""
        if name and name not in self.backend.datacenters():
            raise CallerError(NO_PATH, 500)
