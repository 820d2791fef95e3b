"""Which TCP connections a process has, read from Linux's /proc: for tests that wait until a child is connected."""

from __future__ import annotations

from pathlib import Path

ESTABLISHED = "01"
SOCKET = "socket:["


def connected_to(pid: int, port: int) -> set[str]:
    """IPv4 addresses whose ``port`` the process has a connection to. Raises OSError when the process is gone."""
    inodes = _sockets(pid)
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, *rest = line.split()
        host, _, remote_port = remote.partition(":")
        if rest[5] in inodes and int(remote_port, 16) == port and state == ESTABLISHED:
            found.add(".".join(str(byte) for byte in reversed(bytes.fromhex(host))))
    return found


def _sockets(pid: int) -> set[str]:
    """Inode numbers of the open sockets."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed since the folder was listed
            continue
        if target.startswith(SOCKET):
            inodes.add(target[len(SOCKET) : -1])
    return inodes
