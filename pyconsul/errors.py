"""The whole exception tree, by who is wrong. Imports nothing of ours.

PyconsulError
├── CallerError            the caller is wrong; carries an HTTP status
│   └── ConfigError        a flag, a configuration key, the environment
├── PeerError              bytes or claims of a peer are wrong
│   └── DecodeError
├── RetryError             not now; retry, here or elsewhere
│   ├── NoLeaderError
│   ├── NotLeaderError
│   ├── LeadershipLostError
│   ├── OverloadedError
│   └── RpcError           the leader could not be reached or went away
├── ApplyError             a command was replicated and refused by the state machine
├── StorageError           the disk
│   ├── CorruptionError
│   ├── DiskFullError
│   └── LockedError
└── InvariantError         our own rule broke
"""

from __future__ import annotations


class PyconsulError(Exception):
    """Root of all errors that pyconsul raises on purpose.

    ``forwarded``: another server answered; the HTTP layer then shows Consul's prefix for that.
    """

    forwarded: bool = False


class CallerError(PyconsulError):
    """The request cannot be served as it is. ``status`` is the HTTP status, ``str()`` the text for the caller."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class ConfigError(CallerError):
    """A flag, a configuration file or the environment is wrong; the text names it and the remedy."""


class PeerError(PyconsulError):
    """A peer sent what the protocol does not allow."""


class DecodeError(PeerError):
    """Bytes that are not what they should be. Every decoder raises this and nothing else."""


class RetryError(PyconsulError):
    """The request is fine and was not, or may not have been, carried out: try again."""


class NoLeaderError(RetryError):
    """No leader became known within the hold time."""

    def __init__(self, text: str = "No cluster leader") -> None:
        super().__init__(text)


class NotLeaderError(RetryError):
    """This server does not lead. Nothing was appended to the log."""

    def __init__(self, text: str = "node is not the leader") -> None:
        super().__init__(text)


class LeadershipLostError(RetryError):
    """Leadership ended while the entry was in the log and not yet committed: its fate is unknown."""

    def __init__(self, text: str = "leadership lost while committing log") -> None:
        super().__init__(text)


class OverloadedError(RetryError):
    """A bounded queue is full."""


class RpcError(RetryError):
    """The server that had to be asked could not be reached, or went away before it answered.

    ``sent`` tells whether the request may have reached it (then a write must not be repeated blindly).
    """

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class ApplyError(PyconsulError):
    """The state machine refused a command. The text is Consul's, without the prefixes of the HTTP layer."""


class StorageError(PyconsulError):
    """The disk refused. The text names the file and the remedy."""


class CorruptionError(StorageError):
    """Stored bytes are damaged at a place where no crash can have damaged them."""


class DiskFullError(StorageError):
    """No space left; nothing was lost, writing can be tried again."""


class LockedError(StorageError):
    """Another process uses the data directory."""


class InvariantError(PyconsulError):
    """A rule that always holds did not. Going on would be worse than stopping."""
