"""Keeps this agent's services and checks: in memory, on the disk, and in the catalog; there the node's record, too.

Every change goes the same way: LocalState, then the disk, then the catalog before the request returns. Without a leader
the last step is made up for later; the agent alone is right about its services.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from pyconsul.agent.check_runner import CheckRunner
from pyconsul.agent.local_definitions import CheckDefinition, LocalCheck
from pyconsul.agent.local_files import LocalFiles, SavedCheck, SavedReport
from pyconsul.agent.local_state import LocalState
from pyconsul.agent.local_sync import done, mark_differences, next_command
from pyconsul.clock import Clock, Random
from pyconsul.codec.duration import SECOND
from pyconsul.errors import CallerError, PyconsulError, StorageError
from pyconsul.fsm.commands import AnyCommand, Deregister, Register
from pyconsul.log import pairs
from pyconsul.records.catalog import CRITICAL, Node, Service
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store

SYNC_SECONDS = 60.0
SYNC_NODES = 128
"""In larger clusters full comparisons come less often."""

SYNC_RETRY_SECONDS = 15.0
SYNC_SOON_SECONDS = 3.0
REAP_SECONDS = 30.0
STEPS_MAX = 100_000
"""A bound for one round of synchronisation: more changes than any agent can have."""

Result = TypeVar("Result")


class Replicated(Protocol):
    """What is needed of the replicated state (server.backend.ConsensusApi has it)."""

    @property
    def store(self) -> Store: ...

    async def read(self, mode: ReadMode) -> ReadMeta: ...

    async def write(self, command: AnyCommand) -> object: ...


class LocalServices:
    """``node()`` tells how this agent's node is to be registered; ``files`` None: nothing is kept (development)."""

    def __init__(
        self,
        state: LocalState,
        consensus: Callable[[], Replicated],
        node: Callable[[], Node],
        clock: Clock,
        random: Random,
        logger: logging.Logger,
        files: LocalFiles | None = None,
        scripts_enabled: bool = False,
    ) -> None:
        self.state = state
        self.scripts_enabled = scripts_enabled
        self._consensus = consensus
        self._node = node
        self._clock = clock
        self._random = random
        self._logger = logger
        self._files = files
        self._configured_services: set[str] = set()
        self._configured_checks: set[str] = set()
        """Ids that configuration files gave: those are not kept on the disk, and go when the files lose them."""
        self._reports: dict[str, SavedReport] = {}
        """What was told of TTL checks before the agent was restarted, until it is known which checks there are."""
        self._runner = CheckRunner(self._report, random)
        self._changing = asyncio.Lock()
        self._syncing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._full_sync_at = 0.0
        self._node_told = False
        self._task: asyncio.Task[None] | None = None

    # Life

    async def load(self) -> None:
        """What was registered before the agent was restarted. Raises StorageError."""
        if self._files is None:
            return
        services, checks = await self._on_disk(self._files.load)
        self._reports = await self._on_disk(self._files.load_reports)
        now = self._clock.monotonic()
        for service in services:
            self.state.add_service(service, (), now)
        for saved in checks:
            definition = saved.definition
            if definition.service_id and definition.service_id not in self.state.services:
                continue  # a crash came between the removal of the service and that of its check
            if definition.kind == "script" and not self.scripts_enabled:
                self._logger.warning("Failed to restore check: scripts are off", extra=pairs(check=definition.check_id))
                continue
            check = self.state.add_check(definition, now, saved.kind)
            self.state.set_status(check, saved.status, saved.output, now)
            if not self._restore_report(check, now) and check.record.status != CRITICAL:
                self.state.set_status(check, CRITICAL, "", now)
        self.state.forget_changes()  # the first comparison with the catalog tells what it lacks

    async def configure(
        self,
        services: Sequence[tuple[Service, Sequence[CheckDefinition]]],
        checks: Sequence[CheckDefinition],
    ) -> None:
        """Registers what configuration files say in place of what they said before; status and output of checks that
        stay are kept. What was registered over HTTP stays, but for those of the same ids.

        Raises CallerError, before anything is changed: a check of a service that is not there; StorageError.
        """
        async with self._changing:
            service_ids = {service.id for service, _ in services}
            old = self._configured_services - service_ids
            for check in checks:
                if check.service_id and check.service_id not in (self.state.services.keys() - old) | service_ids:
                    raise CallerError(
                        f"Failed to register check '{check.name}': ServiceID \"{check.service_id}\" does not exist"
                    )
            every = [*(check for _, own in services for check in own), *checks]
            check_ids = {check.check_id for check in every}
            gone_checks = {check_id for service_id in old for check_id in self.state.remove_service(service_id) or ()}
            for check_id in self._configured_checks - check_ids:
                self.state.remove_check(check_id)
            now = self._clock.monotonic()
            new = check_ids - self.state.checks.keys()
            for service, own in services:
                self.state.add_service(service, own, now)
            for check in checks:
                self.state.add_check(check, now)
            for check_id in new:
                self._restore_report(self.state.checks[check_id], now)
            self._configured_services, self._configured_checks = service_ids, check_ids
            stale, self._reports = self._reports.keys() - self.state.checks.keys(), {}
            await self._save((), (), sorted(service_ids | old), sorted(check_ids | gone_checks | stale))
        if self._task is not None:
            await self.sync_changes()

    def _restore_report(self, check: LocalCheck, now: float) -> bool:
        """What was last told of a TTL check counts for as long as it would have counted without a restart. False: its
        time is over."""
        report = self._reports.get(check.record.check_id)
        if report is None or not check.definition.ttl_ns:
            return True
        if report.until <= self._clock.wall():
            return False
        self.state.set_status(check, report.status, report.output, now)
        return True

    def start(self) -> None:
        """Begins to watch the time and to compare with the catalog."""
        self._full_sync_at = self._clock.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._runner.follow(self.state.checks)

    async def stop(self) -> None:
        await self._runner.close()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def sync_soon(self) -> None:
        """A server has come up: the catalog may lack something."""
        soon = self._clock.monotonic() + self._random.uniform(0, SYNC_SOON_SECONDS)
        self._full_sync_at = min(self._full_sync_at, soon)
        self._wake.set()

    # Changes: each returns when the catalog has it, or when it had to be put off

    async def register_service(
        self, service: Service, checks: Sequence[CheckDefinition], replace_checks: bool = False
    ) -> None:
        async with self._changing:
            gone = self.state.add_service(service, checks, self._clock.monotonic(), replace_checks)
            self._configured_services.discard(service.id)
            self._configured_checks.difference_update(each.check_id for each in checks)
            await self._save([service], [each.check_id for each in checks], (), gone)
        await self.sync_changes()

    async def deregister_service(self, service_id: str) -> None:
        async with self._changing:
            gone = self.state.remove_service(service_id)
            if gone is None:
                self._logger.warning("Failed to deregister service: it is not there", extra=pairs(service=service_id))
                return
            await self._save((), (), [service_id], gone)
        await self.sync_changes()

    async def register_check(self, definition: CheckDefinition) -> None:
        """Raises CallerError (500) when its service is not there."""
        async with self._changing:
            self.state.add_check(definition, self._clock.monotonic())
            self._configured_checks.discard(definition.check_id)
            await self._save((), [definition.check_id], (), ())
        await self.sync_changes()

    async def deregister_check(self, check_id: str) -> None:
        async with self._changing:
            if not self.state.remove_check(check_id):
                return
            await self._save((), (), (), [check_id])
        await self.sync_changes()

    async def update_ttl(self, check_id: str, status: str, output: str) -> None:
        """Raises CallerError (500): no such TTL check."""
        async with self._changing:
            check = self.state.update_ttl(check_id, status, output, self._clock.monotonic())
            if self._files is not None:
                until = self._clock.wall() + check.definition.ttl_ns / SECOND
                report = SavedReport(check_id, check.record.status, check.record.output, until)
                await self._on_disk(partial(self._files.save_report, report))
        await self.sync_changes()

    async def set_maintenance(self, service_id: str, enable: bool, reason: str) -> None:
        """Of a service that is there, or of the node ("")."""
        async with self._changing:
            before = set(self.state.checks)
            verb = "entered" if enable else "left"
            if service_id:
                self._logger.info(f"Service {verb} maintenance mode", extra=pairs(service=service_id))
            else:
                self._logger.info(f"Node {verb} maintenance mode")
            self.state.set_maintenance(service_id, enable, reason, self._clock.monotonic())
            after = set(self.state.checks)
            await self._save((), after - before, (), before - after)
        await self.sync_changes()

    async def node_changed(self) -> None:
        """``node()`` tells something else than before: the configuration was read again."""
        self.state.dirty_node = True
        await self.sync_changes()

    async def _report(self, check_id: str, status: str, output: str) -> None:
        """A result of a check that the agent carries out itself."""
        async with self._changing:
            check = self.state.checks.get(check_id)
            if check is None:
                return
            old = check.record
            self.state.set_status(check, status, output, self._clock.monotonic())
            if old.status != status:
                if status == CRITICAL:
                    self._logger.warning("Check is now critical", extra=pairs(check=check_id))
                await self._save_status([check_id])
        if self.state.has_changes:
            await self.sync_changes()

    # Catalog

    async def sync_changes(self) -> bool:
        """Writes what is marked; False: something could not be written and is tried again later."""
        self._wake.set()  # deadlines may have changed
        async with self._syncing:
            consensus = self._consensus()
            for _ in range(STEPS_MAX):
                command = next_command(self.state, self._node())
                if command is None:
                    return True
                try:
                    await consensus.write(command)
                except PyconsulError as error:
                    self._logger.error("failed to sync changes", extra=pairs(error=error))
                    retry = self._clock.monotonic() + self._retry_seconds()
                    self._full_sync_at = min(self._full_sync_at, retry)
                    return False
                done(self.state, command, self._node())
                self._tell(command)
        return False

    async def full_sync(self) -> bool:
        """Compares everything with the catalog and mends it; False: has to be tried again."""
        try:
            await self._consensus().read(ReadMode.DEFAULT)
        except PyconsulError as error:
            self._logger.error("failed to sync remote state", extra=pairs(error=error))
            return False
        async with self._syncing:
            mark_differences(self.state, self._node(), self._consensus().store.catalog)
        whole = await self.sync_changes()
        if whole and not self._node_told:
            self._tell_node()
        return whole

    def _tell_node(self) -> None:
        """Once after the start: the catalog has this node. The leader registers it as soon as gossip knows it."""
        if self._consensus().store.catalog.node(self._node().node) is None:
            self.sync_soon()
            return
        self._node_told = True
        self._logger.info("Synced node info")

    # Inside

    async def _run(self) -> None:
        reap_at = self._clock.monotonic() + REAP_SECONDS
        while True:
            self._wake.clear()
            now = self._clock.monotonic()
            expired = self.state.expire(now)
            if expired:
                for check in expired:
                    self._logger.warning("Check missed TTL, is now critical", extra=pairs(check=check.record.check_id))
                async with self._changing:
                    await self._save_status([check.record.check_id for check in expired])
            if now >= reap_at:
                reap_at = now + REAP_SECONDS
                for service_id in self.state.overdue_services(now):
                    self._logger.info(
                        "deregistered service, it was critical for too long", extra=pairs(service=service_id)
                    )
                    await self.deregister_service(service_id)
            if now >= self._full_sync_at:
                # Set before: a change that cannot be written in the meantime moves it nearer.
                self._full_sync_at = now + self._sync_seconds()
                if not await self.full_sync():
                    self._full_sync_at = self._clock.monotonic() + self._retry_seconds()
            elif expired or self.state.has_changes:
                await self.sync_changes()
            self._wake.clear()
            deadline = self.state.next_deadline()
            due = min(self._full_sync_at, reap_at, math.inf if deadline is None else deadline)
            pause = max(0.01, due - self._clock.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _tell(self, command: Register | Deregister) -> None:
        """What the catalog has now."""
        if isinstance(command, Deregister):
            kind, name = ("service", command.service_id) if command.service_id else ("check", command.check_id)
            self._logger.info(f"Deregistered {kind}", extra=pairs(**{kind: name}))
            return
        if not command.skip_node_update:
            self._node_told = True
            self._logger.info("Synced node info")
        for check in command.checks:
            self._logger.info("Synced check", extra=pairs(check=check.check_id))
        if command.service is not None and not (command.checks and command.service.id == command.checks[0].service_id):
            self._logger.info("Synced service", extra=pairs(service=command.service.id))

    def _sync_seconds(self) -> float:
        nodes = len(self._consensus().store.catalog.nodes())
        factor = math.ceil(math.log2(nodes) - math.log2(SYNC_NODES)) + 1 if nodes > SYNC_NODES else 1
        return factor * SYNC_SECONDS * (1 + self._random.random())

    def _retry_seconds(self) -> float:
        return SYNC_RETRY_SECONDS * (1 + self._random.random())

    async def _save(
        self, services: Sequence[Service], checks: Iterable[str], gone_services: Sequence[str],
        gone_checks: Iterable[str],
    ) -> None:  # fmt: skip
        if self._task is not None:
            self._runner.follow(self.state.checks)
        files = self._files
        if files is None:
            return
        kept = [
            self.state.checks[check_id]
            for check_id in checks
            if check_id in self.state.checks and check_id not in self._configured_checks
        ]
        gone_checks = list(gone_checks)
        without_report = [check_id for check_id in gone_checks if check_id not in self.state.checks]

        def work() -> None:
            for service in services:
                files.save_service(service)
            for check in kept:
                files.save_check(_saved(check))
            for check_id in gone_checks:
                files.remove_check(check_id)
            for check_id in without_report:
                files.remove_report(check_id)
            for service_id in gone_services:
                files.remove_service(service_id)

        await self._on_disk(work)

    async def _save_status(self, checks: Iterable[str]) -> None:
        """For changes that nobody asked for: a disk that refuses must not end the watch over all checks."""
        try:
            await self._save((), checks, (), ())
        except StorageError as error:
            self._logger.error("failed to keep the status of checks", extra=pairs(error=error))

    async def _on_disk(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(None, work)


def _saved(check: LocalCheck) -> SavedCheck:
    record = check.record
    return SavedCheck(check.definition, record.status, record.output, record.type)
