"""``raft/peers.json``: the way back for a cluster that has lost its majority for good (docs/reference/operator.md)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pyconsul.errors import CallerError, ConfigError
from pyconsul.raft.config import checked
from pyconsul.raft.messages import Configuration, Server
from pyconsul.storage.files import Files, Guard, read_all
from pyconsul.storage.text_file import TextFile

NAME = "peers.json"
INFO_NAME = "peers.info"
BYTES_MAX = 1 << 20

INFO = """\
For the day on which most servers of this cluster are lost and will not come back.

1. Stop all servers that are left.
2. In this folder of each of them, write a file peers.json that names exactly those servers. It must be the same on all:

   [
     {"id": "adf4238a-882b-9ddc-4a9d-5b6758e4159e", "address": "10.1.0.1:8300", "non_voter": false},
     {"id": "8b6dda82-3103-11e7-93ae-92361f002671", "address": "10.1.0.2:8300", "non_voter": false}
   ]

   id is what the file node-id in the data directory of that server says, address its server port. non_voter may be
   left out.
3. Start them. Each takes over the list, says so in its log, and deletes peers.json.

Everything in the log of a server counts as agreed upon from then on, also what the lost majority never confirmed.
A server that still works must not be left out: it would go on with the others as if nothing had happened.
"""


class _Peer(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    address: str
    non_voter: bool = False


class PeersFile:
    """In the folder of the log."""

    def __init__(self, folder: Path, files: Files) -> None:
        self.path = folder / NAME
        self._info = TextFile(folder / INFO_NAME, files)
        self._files = files
        self._guard = Guard()

    def explain(self) -> None:
        """Leaves the text about it in the folder, once. Raises StorageError."""
        if self._info.read() is None:
            self._info.write(INFO)

    def read(self) -> Configuration | None:
        """The servers that it names; None when there is no such file. Raises ConfigError, StorageError."""
        with self._guard.reading(self.path):
            try:
                handle = self._files.open_read(self.path)
            except FileNotFoundError:
                return None
            try:
                data = read_all(self._files, handle, BYTES_MAX)
            finally:
                self._files.close(handle)
        try:
            peers = msgspec.json.decode(data, type=list[_Peer])
            return checked(Configuration(tuple(Server(each.id, each.address, not each.non_voter) for each in peers)))
        except (msgspec.MsgspecError, CallerError) as error:
            raise ConfigError(
                f'{self.path}: {error}: it must be a list of objects with "id" and "address" (see {INFO_NAME} there)'
            ) from error

    def remove(self) -> None:
        """Raises StorageError."""
        with self._guard.final("remove", self.path):
            self._files.remove(self.path)
            self._files.sync_dir(self.path.parent)
