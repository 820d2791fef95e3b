"""What a client repeats word for word: the rest of the request line and its header lines.

Programs send the same headers with every request of a connection. Once they were read by the parser, a request that
repeats them is told by comparing bytes, which costs a tenth of reading them again. Anything that is not exactly that
(another header, part of a request, two of them, an odd target) goes to the parser as ever.
"""

from __future__ import annotations

import re

from pyconsul.api.request import Request

HEAD_BYTES_MAX = 2048
"""Longer heads are the parser's, which knows the limits; and ten thousand connections shall not hold megabytes."""

BODY_BYTES_MAX = 65_536

_MARK = b" HTTP/1.1\r\n"
_line = re.compile(rb'(GET|PUT|DELETE) (/[!"$&-~]*)').fullmatch
"""A request line up to its version. Targets with an escape or a fragment are the parser's."""

_UNFIT = (b"transfer-encoding", b"expect", b"upgrade")


class RepeatedHead:
    """``tail``: from the end of the target to the empty line. ``announced``: the Content-Length, 0 without one."""

    __slots__ = ("_announced", "_headers", "_last", "_request", "_tail", "_tail_bytes")

    def __init__(self, tail: bytes, headers: dict[bytes, bytes], announced: int) -> None:
        self._tail = tail
        self._tail_bytes = len(tail)
        self._headers = headers
        self._announced = announced
        self._last = b""
        self._request: Request | None = None

    def request(self, data: bytes, peer: str) -> Request | None:
        """The request, if the data is exactly one whose head ends in what was repeated; else None."""
        if data == self._last:
            return self._request  # who polls repeats all of it
        head_end = len(data) - self._announced
        if not self._tail_bytes < head_end <= HEAD_BYTES_MAX or not data.endswith(self._tail, 0, head_end):
            return None
        line = _line(data, 0, head_end - self._tail_bytes)
        if line is None:
            return None
        method, target = line.groups()
        request = Request(method, target, self._headers, data[head_end:], self._announced, peer)
        if method == b"GET":
            # One is answered before the next is taken, and handlers change nothing of it, so it can be given again.
            self._last, self._request = data, request
        return request


def learn(data: bytes, headers: dict[bytes, bytes]) -> RepeatedHead | None:
    """What will be repeated, from the bytes of a request that the parser took as one whole request of HTTP/1.1."""
    length = headers.get(b"content-length")
    announced = int(length) if length is not None else 0
    if announced > BODY_BYTES_MAX:
        return None
    for name in _UNFIT:
        if name in headers:
            return None
    begin = data.find(_MARK)
    end = len(data) - announced
    if begin < 0 or end > HEAD_BYTES_MAX:
        return None
    tail = data[begin:end]
    if not tail.endswith(b"\r\n\r\n") or tail.find(b"\r\n\r\n") != len(tail) - 4:
        return None
    return RepeatedHead(tail, headers, announced)
