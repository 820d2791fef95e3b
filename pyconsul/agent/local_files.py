"""The agent's services and checks on the disk: one JSON file each, in ``services/`` and ``checks/``. What was last told
of TTL checks is in ``checks/state/``, also for those of configuration files.

The name is a hash of the id, which may hold any letters. A file is replaced whole, so that a crash leaves the old
or the new one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from pyconsul.agent.local_definitions import CheckDefinition
from pyconsul.errors import StorageError
from pyconsul.records.catalog import Service
from pyconsul.storage.files import Files, Guard, read_all, write_all

FILE_BYTES_MAX = 1_048_576
FORMAT = 1


class SavedService(msgspec.Struct):
    """``format`` is raised when the meaning of the rest changes."""

    service: Service
    format: int = FORMAT


class SavedCheck(msgspec.Struct):
    """A check with its status and output when it was saved."""

    definition: CheckDefinition
    status: str
    output: str
    kind: str
    format: int = FORMAT


class SavedReport(msgspec.Struct):
    """What was last told of a TTL check. ``until``: seconds since 1970 at which its TTL runs out."""

    check_id: str
    status: str
    output: str
    until: float
    format: int = FORMAT


_Saved = TypeVar("_Saved", SavedService, SavedCheck, SavedReport)


class LocalFiles:
    """Below the data directory. All methods block on the disk and raise StorageError."""

    def __init__(self, data_dir: Path, files: Files | None = None) -> None:
        self._services = data_dir / "services"
        self._checks = data_dir / "checks"
        self._reports = data_dir / "checks" / "state"
        self._files = files or Files()
        self._guard = Guard()

    def load(self) -> tuple[list[Service], list[SavedCheck]]:
        """Everything that was saved and not removed."""
        services = [each.service for each in self._read_all(self._services, SavedService)]
        return services, self._read_all(self._checks, SavedCheck)

    def load_reports(self) -> dict[str, SavedReport]:
        """By the id of the check, also of those that are no more."""
        return {each.check_id: each for each in self._read_all(self._reports, SavedReport)}

    def save_report(self, report: SavedReport) -> None:
        self._write(self._reports, report.check_id, msgspec.json.encode(report))

    def remove_report(self, check_id: str) -> None:
        self._remove(self._reports, check_id)

    def save_service(self, service: Service) -> None:
        self._write(self._services, service.id, msgspec.json.encode(SavedService(service)))

    def save_check(self, check: SavedCheck) -> None:
        self._write(self._checks, check.definition.check_id, msgspec.json.encode(check))

    def remove_service(self, service_id: str) -> None:
        self._remove(self._services, service_id)

    def remove_check(self, check_id: str) -> None:
        self._remove(self._checks, check_id)

    def _read_all(self, folder: Path, kind: type[_Saved]) -> list[_Saved]:
        files, found = self._files, []
        with self._guard.reading(folder):
            try:
                names = files.names(folder)
            except FileNotFoundError:
                return []
        for name in names:
            path = folder / name
            if not name.endswith(".json"):
                continue  # what a crash left of a replacement
            with self._guard.reading(path):
                handle = files.open_read(path)
                try:
                    data = read_all(files, handle, FILE_BYTES_MAX)
                finally:
                    files.close(handle)
            try:
                found.append(msgspec.json.decode(data, type=kind))
            except msgspec.MsgspecError as error:
                raise StorageError(f"{path} cannot be read ({error}): remove it and register again") from error
        return found

    def _write(self, folder: Path, id_: str, data: bytes) -> None:
        files, path = self._files, _path(folder, id_)
        temporary = path.with_suffix(".tmp")
        with self._guard.change("write", path):
            files.make_dir(folder)
            if temporary.name in files.names(folder):
                files.remove(temporary)
            handle = files.create(temporary)
            try:
                write_all(files, handle, data, 0)
                files.sync(handle)
            finally:
                files.close(handle)
            files.rename(temporary, path)
            files.sync_dir(folder)

    def _remove(self, folder: Path, id_: str) -> None:
        path = _path(folder, id_)
        with self._guard.change("remove", path):
            try:
                self._files.remove(path)
            except FileNotFoundError:
                return
            self._files.sync_dir(folder)


def _path(folder: Path, id_: str) -> Path:
    return folder / f"{hashlib.sha256(id_.encode('utf-8', 'surrogatepass')).hexdigest()}.json"
