"""What all handlers share: the backend, the settings, the kept events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pyconsul.agent.local_services import LocalServices
from pyconsul.api.kept_entries import KeptEntries
from pyconsul.api.kept_lists import KeptLists
from pyconsul.api.limits import HttpSettings
from pyconsul.clock import Clock, Random
from pyconsul.errors import CallerError
from pyconsul.server.backend import Backend

if TYPE_CHECKING:
    from pyconsul.agent.logging import AgentLog
    from pyconsul.api.events import EventBuffer
    from pyconsul.api.request import Request
    from pyconsul.api.response import Answer

NO_PATH = "No path to datacenter"


class AgentBackend(Backend, Protocol):
    """A server with the services and checks of its own agent."""

    @property
    def local(self) -> LocalServices: ...


class Api:
    """``settings`` may be replaced at any time (a reload); ``ui_handler`` answers what is below ``ui_path`` (begins and
    ends with a slash) when the page is there."""

    def __init__(
        self, backend: AgentBackend, settings: HttpSettings, events: EventBuffer, clock: Clock, random: Random
    ) -> None:
        self.backend = backend
        self.consensus = backend.consensus
        self.local = backend.local
        self.settings = settings
        self.events = events
        self.clock = clock
        self.random = random
        self.entries = KeptEntries()
        self.lists = KeptLists()
        self.logs: AgentLog | None = None
        """The agent's log, for those who watch it; None in a server without one."""
        self.ui_handler: Callable[[Request], Answer] | None = None
        self.ui_path = b"/ui/"

    def check_datacenter(self, name: str) -> None:
        """Raises CallerError (500) when no server of that datacenter is known; "" is the own one."""
        if name and name not in self.backend.datacenters():
            raise CallerError(NO_PATH, 500)
