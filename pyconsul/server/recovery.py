"""Opening the stored log, and the manual recovery from a lost majority on the way (storage/peers_file.py).

Recovery takes everything in the log for committed and puts it into a snapshot with the new configuration. A snapshot,
because an entry with the new configuration would stand at another index on each server, and logs that differ at an
index of one term are what Raft must never see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from pyconsul.errors import ConfigError, DiskFullError
from pyconsul.fsm.apply import StateMachine
from pyconsul.log import pairs
from pyconsul.raft.messages import NORMAL, Configuration, SnapshotMeta
from pyconsul.server.snapshots import restore_newest
from pyconsul.storage.peers_file import PeersFile
from pyconsul.storage.raft_storage import RaftStorage


def open_storage(open_: Callable[[], RaftStorage], logger: logging.Logger) -> RaftStorage:
    """Opens the log and carries out a recovery when the operator has asked for it.

    Raises ConfigError (what the operator wrote cannot be used), and what ``open_`` raises. Takes seconds: run it in a
    thread.
    """
    storage = open_()
    peers = PeersFile(storage.path, storage.files)
    try:
        try:
            peers.explain()
        except DiskFullError as error:  # a text for people is no reason not to start
            logger.warning("no room for the text about recovery", extra=pairs(error=error))
        configuration = peers.read()
        if configuration is None:
            return storage
        _recover(storage, configuration, peers, logger)
    except BaseException:
        storage.close()
        raise
    storage.close()
    storage = open_()
    # Only now: until here, a crash leads to the same recovery again.
    peers.remove()
    logger.info("deleted peers.json file after successful recovery", extra=pairs(path=peers.path))
    return storage


def _recover(storage: RaftStorage, configuration: Configuration, peers: PeersFile, logger: logging.Logger) -> None:
    recovered = storage.recovered
    snapshot = recovered.snapshot
    last_index = storage.last_index
    if last_index == 0:
        raise ConfigError(f"{peers.path}: there is nothing to recover, as this server has no log: remove the file")
    logger.info(
        "found peers.json file, recovering Raft configuration",
        extra=pairs(path=peers.path, servers=",".join(each.address for each in configuration.servers)),
    )
    machine = restore_newest(storage, logger)
    last_term = snapshot.term if snapshot is not None else 0
    for entry in recovered.entries:
        if entry.kind == NORMAL:
            machine.apply_bytes(entry.index, entry.data)
        else:
            machine.skip(entry.index)
        last_term = entry.term
    meta = SnapshotMeta(last_index, last_term, configuration, last_index)
    _write(storage, machine, meta)
    if snapshot is not None and snapshot.index == last_index:
        # The one with the old configuration has the same rank. Only the newest two are kept: now it is none of them.
        _write(storage, machine, meta)


def _write(storage: RaftStorage, machine: StateMachine, meta: SnapshotMeta) -> None:
    writer = storage.snapshots.create(meta)
    try:
        for chunk in machine.snapshot():
            writer.write(chunk)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
