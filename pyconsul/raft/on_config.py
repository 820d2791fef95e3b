"""Members and leadership handed over: configuration changes of one server at a time (Raft dissertation, chapter 4) and
leadership transfer (section 3.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyconsul.errors import CallerError, RetryError
from pyconsul.raft import on_append, on_read, on_vote
from pyconsul.raft.config import Change, changed, encode_configuration
from pyconsul.raft.messages import CONFIG, Entry, TimeoutNow
from pyconsul.raft.progress import Progress
from pyconsul.raft.role import Role

if TYPE_CHECKING:
    from pyconsul.raft.core import Raft


# ---- configuration


def read_members(raft: Raft) -> None:
    """Takes the voters from the configuration in force."""
    raft.voters = tuple(server.id for server in raft.configuration.servers if server.voter)
    raft.is_voter = raft.id in raft.voters


def may_stand(raft: Raft) -> bool:
    """Whether this server may stand for election: as a voter, or when the change by which it ceases to be one is not
    known to be committed. It may be the only server with that entry and a log that wins (section 4.2.2)."""
    if raft.is_voter or raft.configurations.index <= raft.log.commit:
        return raft.is_voter
    return any(server.id == raft.id and server.voter for server in raft.configurations.before.servers)


def members_changed(raft: Raft) -> None:
    """The configuration in force is another one: appended, or brought back by cutting the log."""
    read_members(raft)
    if raft.role is not Role.LEADER:
        return
    members = {server.id for server in raft.configuration.servers}
    for member in sorted(members - raft.peers.keys() - {raft.id}):
        raft.peers[member] = Progress(member, raft.log.last_index + 1, raft.ticks)
    for member, peer in raft.peers.items():
        # One that was removed still gets the entry that says so, for a while: else it would never know.
        peer.leave_at = 0 if member in members else raft.ticks + raft.config.election_ticks
    if raft.transfer is not None and raft.transfer.to not in raft.voters:
        raft.transfer = None


def propose(raft: Raft, change: Change) -> int:
    """See Raft.propose_configuration."""
    if raft.transfer is not None:
        raise RetryError("leadership is being transferred")
    if raft.log.commit < raft.noop_index:
        # Without this, two leaders' changes could each get a majority that the other's does not overlap.
        raise RetryError("the leader has not committed an entry of its term yet")
    if raft.configurations.index > raft.log.commit:
        raise RetryError("another configuration change is under way")
    configuration = changed(raft.configuration, change)
    index = raft.log.last_index + 1
    raft.log.append([Entry(raft.term, index, CONFIG, encode_configuration(configuration))])
    raft.configurations.append(index, configuration)
    members_changed(raft)
    # A smaller majority may have been reached already.
    on_append.advance_commit(raft)
    on_read.count_round(raft)
    return index


def committed(raft: Raft) -> None:
    """The commit index moved. A leader outside of the committed configuration has done its duty (section 4.2.2)."""
    if not raft.is_voter and raft.configurations.index <= raft.log.commit:
        raft.leaving = True


def leave_office(raft: Raft) -> None:
    """Everybody was just told the commit index; the voter that has most is asked to take over without delay."""
    heir = _fullest_voter(raft)
    if heir is not None:
        raft.messages.append(TimeoutNow(raft.id, heir, raft.term))
    raft.become_follower(raft.term, "")


def forget_leavers(raft: Raft) -> None:
    told = raft.configurations.index
    for peer in list(raft.peers.values()):
        informed = peer.match >= told and peer.sent_commit >= told
        if peer.leave_at and (informed or raft.ticks >= peer.leave_at):
            del raft.peers[peer.id]


# ---- leadership transfer


class Transfer:
    """To whom, and the tick at which it is given up."""

    __slots__ = ("deadline", "to")

    def __init__(self, to: str, deadline: int) -> None:
        self.to = to
        self.deadline = deadline


def _fullest_voter(raft: Raft) -> str | None:
    candidates = [raft.peers[voter] for voter in raft.voters if voter != raft.id]
    if not candidates:
        return None
    return max(candidates, key=lambda peer: (peer.match, peer.last_contact, peer.id)).id


def start_transfer(raft: Raft, to: str | None) -> None:
    """See Raft.transfer_leadership."""
    if to is None:
        to = _fullest_voter(raft)
        if to is None:
            raise CallerError("cannot find a server to transfer leadership to")
    if to == raft.id:
        raise CallerError("cannot transfer leadership to the leader itself")
    if to not in raft.voters:
        raise CallerError(f"cannot transfer leadership to {to}: not a voter")
    raft.transfer = Transfer(to, raft.ticks + raft.config.election_ticks)
    target_advanced(raft, raft.peers[to])


def target_advanced(raft: Raft, peer: Progress) -> None:
    """Tells the target to stand for election once it has the whole log, so that it wins."""
    transfer = raft.transfer
    if transfer is not None and transfer.to == peer.id and peer.match == raft.log.last_index:
        raft.lease_given_up = True
        raft.messages.append(TimeoutNow(raft.id, peer.id, raft.term))


def tick_transfer(raft: Raft) -> None:
    transfer = raft.transfer
    if transfer is None:
        return
    if raft.ticks >= transfer.deadline:
        raft.transfer = None
    else:
        target_advanced(raft, raft.peers[transfer.to])


def on_timeout_now(raft: Raft, message: TimeoutNow) -> None:
    """The leader's own wish: neither pre-vote nor other servers' patience with the leader apply."""
    if raft.role is Role.FOLLOWER and raft.is_voter:
        on_vote.campaign(raft, pre_vote=False, transfer=True)
