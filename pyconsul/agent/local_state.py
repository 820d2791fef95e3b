"""The services and checks of this agent, and which of them the catalog does not have yet as they are here; and whether
the record of the agent's own node has to be written.

Pure: time is passed in as monotonic seconds. What was changed is remembered (``dirty_…``, ``removed_…``) until
``synced`` tells that the catalog has it. Ids and names are told apart by case here, other than in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from pyconsul.agent.local_definitions import (
    DEREGISTER_AFTER_MIN_NS,
    STATUSES,
    CheckDefinition,
    LocalCheck,
    cut_output,
)
from pyconsul.clock import Random
from pyconsul.codec.duration import SECOND, format_duration
from pyconsul.errors import CallerError
from pyconsul.records.catalog import CRITICAL, Check, Service

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
NO_REASON = "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."


class LocalState:
    """``on_change`` is called after every change of a service (who blocks on one looks again)."""

    def __init__(self, node: str, random: Random, check_update_interval_s: float = 300.0) -> None:
        self.node = node
        self.services: dict[str, Service] = {}
        self.checks: dict[str, LocalCheck] = {}
        self.dirty_node = False
        self.dirty_services: set[str] = set()
        self.dirty_checks: set[str] = set()
        self.removed_services: set[str] = set()
        self.removed_checks: set[str] = set()
        self._random = random
        self._check_update_interval_s = check_update_interval_s
        self._waiting: dict[object, Callable[[], None]] = {}

    # Services

    def add_service(
        self, service: Service, checks: Sequence[CheckDefinition], now: float, replace_checks: bool = False
    ) -> list[str]:
        """Adds or replaces a service with checks; returns the ids of checks that went.

        Checks that are there already keep status and output; those that are not named stay unless ``replace_checks``.
        """
        old = self.services.get(service.id)
        self.services[service.id] = service
        self.removed_services.discard(service.id)
        if old != service:
            self.dirty_services.add(service.id)
            for check in self.checks_of(service.id):
                record = check.record
                if (record.service_name, record.service_tags) != (service.service, service.tags):
                    check.record = msgspec.structs.replace(
                        record, service_name=service.service, service_tags=service.tags
                    )
                    self.dirty_checks.add(record.check_id)
        for definition in checks:
            self.add_check(definition, now)
        gone: list[str] = []
        if replace_checks:
            kept = {definition.check_id for definition in checks} | {SERVICE_MAINTENANCE + service.id}
            gone = [
                check.record.check_id
                for check in self.checks_of(service.id)
                if check.record.check_id not in kept
            ]  # fmt: skip
            for check_id in gone:
                self.remove_check(check_id)
        self._changed()
        return gone

    def remove_service(self, service_id: str) -> list[str] | None:
        """Removes a service with all its checks, whose ids are returned; None: there is no such service."""
        if self.services.pop(service_id, None) is None:
            return None
        gone = [check.record.check_id for check in self.checks_of(service_id)]
        for check_id in gone:
            self.remove_check(check_id)
        self.dirty_services.discard(service_id)
        self.removed_services.add(service_id)
        self._changed()
        return gone

    def checks_of(self, service_id: str) -> list[LocalCheck]:
        """The checks of a service; "": those of the node."""
        return [check for check in self.checks.values() if check.record.service_id == service_id]

    def tags_by_service(self) -> dict[str, list[str]]:
        """Names of the services with the tags of all their instances here, as event filters look at them."""
        found: dict[str, list[str]] = {}
        for service in self.services.values():
            found.setdefault(service.service, []).extend(service.tags or ())
        return found

    # Checks

    def add_check(self, definition: CheckDefinition, now: float, kind: str = "") -> LocalCheck:
        """Adds a check or replaces its definition; its status and output stay. Raises CallerError (500): no service."""
        service = None
        if definition.service_id:
            service = self.services.get(definition.service_id)
            if service is None:
                raise CallerError(f'ServiceID "{definition.service_id}" does not exist', 500)
        check_id = definition.check_id
        old = self.checks.get(check_id)
        shown = definition.shows_times
        record = Check(
            node=self.node,
            check_id=check_id,
            name=definition.name,
            status=old.record.status if old is not None else definition.status or CRITICAL,
            notes=definition.notes,
            output=old.record.output if old is not None else "",
            service_id=definition.service_id,
            service_name=service.service if service is not None else "",
            service_tags=service.tags if service is not None else [],
            type=kind or definition.kind,
            interval=format_duration(definition.interval_ns) if shown else "",
            timeout=format_duration(definition.timeout_ns) if shown else "",
        )
        check = LocalCheck(record, definition)
        check.critical_since = old.critical_since if old is not None else None
        self.checks[check_id] = check
        self.removed_checks.discard(check_id)
        if definition.ttl_ns:
            check.deadline = now + definition.ttl_ns / SECOND
        self._note_critical(check, now)
        if old is None or old.record != record or old.output_due is not None:
            self.dirty_checks.add(check_id)
        return check

    def remove_check(self, check_id: str) -> bool:
        if self.checks.pop(check_id, None) is None:
            return False
        self.dirty_checks.discard(check_id)
        self.removed_checks.add(check_id)
        return True

    def update_ttl(self, check_id: str, status: str, output: str, now: float) -> LocalCheck:
        """A result of a TTL check. Raises CallerError (500) when there is no such TTL check."""
        check = self.checks.get(check_id)
        if check is None or not check.definition.ttl_ns:
            raise CallerError(f'CheckID "{check_id}" does not have associated TTL', 500)
        check.deadline = now + check.definition.ttl_ns / SECOND
        self.set_status(check, status, cut_output(output, check.definition.output_limit), now)
        return check

    def set_status(self, check: LocalCheck, status: str, output: str, now: float) -> None:
        """A new status has to be in the catalog at once, a new output alone only after a while."""
        old = check.record
        if (old.status, old.output) == (status, output):
            return
        check.record = msgspec.structs.replace(old, status=status, output=output)
        if old.status != status or not self._check_update_interval_s:
            self.dirty_checks.add(old.check_id)
        elif check.output_due is None:
            half = self._check_update_interval_s / 2
            check.output_due = now + half + self._random.uniform(0, 2 * half)
        self._note_critical(check, now)

    def _note_critical(self, check: LocalCheck, now: float) -> None:
        if check.record.status != CRITICAL:
            check.critical_since = None
        elif check.critical_since is None:
            check.critical_since = now

    # Maintenance

    def set_maintenance(self, service_id: str, enable: bool, reason: str, now: float) -> bool:
        """Of a service, or of the node (""). False: nothing changed."""
        check_id = SERVICE_MAINTENANCE + service_id if service_id else NODE_MAINTENANCE
        if not enable:
            return self.remove_check(check_id)
        if check_id in self.checks:
            return False
        what = "service" if service_id else "node"
        definition = CheckDefinition(
            check_id=check_id,
            name=f"{what.capitalize()} Maintenance Mode",
            notes=reason or NO_REASON.format(what=what),
            service_id=service_id,
        )
        self.add_check(definition, now, "maintenance")
        return True

    # Time

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do next."""
        times = [
            time
            for check in self.checks.values()
            for time in (check.deadline, check.output_due)
            if time is not None
        ]  # fmt: skip
        return min(times, default=None)

    def expire(self, now: float) -> list[LocalCheck]:
        """TTL checks that were not renewed become critical; they are returned. Late outputs become due."""
        expired = []
        for check in self.checks.values():
            if check.deadline is not None and check.deadline <= now:
                check.deadline = None
                output = check.record.output
                text = f"TTL expired (last output before timeout follows): {output}" if output else "TTL expired"
                self.set_status(check, CRITICAL, text, now)
                self.dirty_checks.add(check.record.check_id)
                expired.append(check)
            if check.output_due is not None and check.output_due <= now:
                self.dirty_checks.add(check.record.check_id)
        return expired

    def overdue_services(self, now: float) -> list[str]:
        """Services to be deregistered because a check of theirs has been critical for too long."""
        found: dict[str, None] = {}
        for check in self.checks.values():
            after_ns = check.definition.deregister_after_ns
            if not after_ns or not check.record.service_id or check.critical_since is None:
                continue
            if now - check.critical_since > max(after_ns, DEREGISTER_AFTER_MIN_NS) / SECOND:
                found[check.record.service_id] = None
        return list(found)

    # For who waits and who syncs

    def wait(self, who: object, wake: Callable[[], None]) -> None:
        """``wake`` is called once, after the next change of any service."""
        self._waiting[who] = wake

    def forget(self, who: object) -> None:
        self._waiting.pop(who, None)

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for wake in waiting.values():
            wake()

    @property
    def has_changes(self) -> bool:
        return self.dirty_node or bool(
            self.dirty_services or self.dirty_checks or self.removed_services or self.removed_checks
        )

    def forget_changes(self) -> None:
        self.dirty_node = False
        for marked in (self.dirty_services, self.dirty_checks, self.removed_services, self.removed_checks):
            marked.clear()
        for check in self.checks.values():
            check.output_due = None

    def service_synced(self, sent: Service) -> None:
        """The catalog has this version of the service."""
        if self.services.get(sent.id) == sent:
            self.dirty_services.discard(sent.id)

    def checks_synced(self, sent: Iterable[Check]) -> None:
        """The catalog has these versions of the checks."""
        for record in sent:
            check = self.checks.get(record.check_id)
            if check is not None and check.record == record:
                check.output_due = None
                self.dirty_checks.discard(record.check_id)


def valid_status(status: str) -> bool:
    return status in STATUSES
