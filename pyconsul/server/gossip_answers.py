"""The answers to a query while they come in."""

from __future__ import annotations

import asyncio

import msgspec

from pyconsul.gossip.context import QueryAnswer


class QueryResult(msgspec.Struct):
    """``acks``: who confirmed; ``responses``: who answered what."""

    acks: list[str]
    responses: dict[str, bytes]


class Waiting:
    """A query of ours whose answers are collected. ``enough``: responses after which nobody waits any longer."""

    def __init__(self, enough: int) -> None:
        self.result = QueryResult([], {})
        self.enough = enough
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def take(self, answer: QueryAnswer) -> None:
        if answer.ack:
            self.result.acks.append(answer.sender)
            return
        self.result.responses[answer.sender] = answer.payload
        if self.enough and len(self.result.responses) >= self.enough:
            self.finish()
