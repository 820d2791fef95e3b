"""The program ``pyconsul`` with a log whose disk misbehaves on demand, for tests/process/test_disk.py.

The folder FAULTS of the environment holds the orders; each may come and go while the agent runs:

    slow   text: how many seconds each sync of the log takes
    sync   each sync of the log fails with EIO
    write  each write to the log fails with EIO
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

from pyconsul.storage.files import Files
from pyconsul_cli.main import main

FAULTS = Path(os.environ["FAULTS"])
_sync, _write = Files.sync, Files.write


def is_log(handle: int) -> bool:
    return Path(f"/proc/self/fd/{handle}").readlink().suffix == ".wal"


def sync(self: Files, handle: int) -> None:
    if is_log(handle):
        slow = FAULTS / "slow"
        if slow.exists():
            time.sleep(float(slow.read_text()))
        if (FAULTS / "sync").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    _sync(self, handle)


def write(self: Files, handle: int, data: bytes | memoryview, offset: int) -> int:
    if is_log(handle) and (FAULTS / "write").exists():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return _write(self, handle, data, offset)


Files.sync = sync  # type: ignore[method-assign]
Files.write = write  # type: ignore[method-assign]
sys.exit(main())
