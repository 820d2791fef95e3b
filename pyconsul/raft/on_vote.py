"""Elections: pre-vote, votes, and what a server asks before it gives one
(Raft dissertation, sections 3.4, 3.6.1, 9.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyconsul.raft.messages import PreVoteReply, PreVoteRequest, VoteReply, VoteRequest
from pyconsul.raft.quorum import Outcome, outcome
from pyconsul.raft.role import Role

if TYPE_CHECKING:
    from pyconsul.raft.core import Raft


def campaign(raft: Raft, *, pre_vote: bool, transfer: bool = False) -> None:
    """Asks the voters whether they would (``pre_vote``), or do, vote for this server."""
    raft.draw_timeout()
    raft.set_leader("")
    if pre_vote:
        raft.role = Role.PRECANDIDATE
    else:
        raft.role = Role.CANDIDATE
        raft.term += 1
        raft.vote = raft.id
    raft.votes = {raft.id: True}
    log = raft.log
    for voter in raft.voters:
        if voter == raft.id:
            continue
        if pre_vote:
            # Nothing is promised by asking; the term asked about is the next one, this server's own stays.
            raft.messages.append(PreVoteRequest(raft.id, voter, raft.term + 1, log.last_index, log.last_term))
        else:
            # After the sync: an answer then implies that this server's own vote, which counts too, is on disk.
            request = VoteRequest(raft.id, voter, raft.term, log.last_index, log.last_term, transfer)
            raft.messages_after_sync.append(request)
    _count(raft)


def _count(raft: Raft) -> None:
    result = outcome(raft.voters, raft.votes)
    if result is Outcome.LOST:
        raft.become_follower(raft.term, "")
    elif result is Outcome.WON:
        if raft.role is Role.PRECANDIDATE:
            campaign(raft, pre_vote=False)
        else:
            raft.become_leader()


def on_pre_vote_request(raft: Raft, message: PreVoteRequest) -> None:
    if raft.protects_leader():
        return
    granted = message.term > raft.term and raft.log.up_to_date(message.last_index, message.last_term)
    # A grant repeats the term asked about, a refusal tells this server's own. It binds nobody: the disk need not know.
    term = message.term if granted else raft.term
    raft.messages.append(PreVoteReply(raft.id, message.sender, term, granted))


def on_pre_vote_reply(raft: Raft, message: PreVoteReply) -> None:
    if raft.role is not Role.PRECANDIDATE or (message.granted and message.term != raft.term + 1):
        return
    raft.votes[message.sender] = message.granted
    _count(raft)


def on_vote_request(raft: Raft, message: VoteRequest) -> None:
    """One vote per term, for a log at least as complete as this one. A server that is no voter in its own log may be
    one in the candidate's (section 4.2.2), so it is not asked here whether this server counts."""
    free = raft.vote == message.sender or (raft.vote == "" and raft.leader_id == "" and raft.role is Role.FOLLOWER)
    granted = free and raft.log.up_to_date(message.last_index, message.last_term)
    if granted:
        raft.vote = message.sender
        raft.draw_timeout()
    raft.messages_after_sync.append(VoteReply(raft.id, message.sender, raft.term, granted))


def on_vote_reply(raft: Raft, message: VoteReply) -> None:
    if raft.role is not Role.CANDIDATE:
        return
    raft.votes[message.sender] = message.granted
    _count(raft)
