"""The roles of a server."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A precandidate asks whether an election would be won, a candidate stands in one; both without a leader."""

    FOLLOWER = "follower"
    PRECANDIDATE = "precandidate"
    CANDIDATE = "candidate"
    LEADER = "leader"
