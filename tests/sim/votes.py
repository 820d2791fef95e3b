"""Who voted for whom: a server votes once in a term, and knows it after a restart (Raft dissertation, section 3.4)."""

from __future__ import annotations

from world import Violation

from pyconsul.raft.messages import AnyMessage, VoteReply, VoteRequest


class Votes:
    """All votes that left their server, by term and voter. Raises Violation."""

    def __init__(self) -> None:
        self._given: dict[tuple[int, str], str] = {}

    def sent(self, message: AnyMessage) -> None:
        """A candidate's question is its vote for itself."""
        if isinstance(message, VoteReply) and message.granted:
            self._vote(message.term, message.sender, message.to)
        elif isinstance(message, VoteRequest):
            self._vote(message.term, message.sender, message.sender)

    def remembers(self, voter: str, term: int, vote: str) -> None:
        """A server that was restarted in ``term`` knows the vote that it gave away."""
        given = self._given.get((term, voter))
        if given is not None and vote != given:
            raise Violation(f"{voter} voted for {given} in term {term} and remembers {vote!r}")

    def _vote(self, term: int, voter: str, candidate: str) -> None:
        other = self._given.setdefault((term, voter), candidate)
        if other != candidate:
            raise Violation(f"{voter} votes for {candidate} in term {term} and voted for {other}")
