"""Answers the requests below the content path.

Every path that is no file is the page itself: bookmarks like ``/ui/dc1/kv/docker/nodes/`` are read by its script. Only
what is missing below ``assets/`` is 404, so that a wrong script name does not answer with a page.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from pyconsul.api.request import Request
from pyconsul.api.response import Response
from pyconsul.ui.files import INDEX, Asset, Files
from pyconsul.ui.headers import IMMUTABLE, REVALIDATE, accepted_codings, content_type, security_head

ASSETS = "assets/"
ALLOW = b"Allow: GET,HEAD\r\n"


class UiHandler:
    """``configured_headers``: names (lower case) of the headers that the operator added to all answers."""

    def __init__(self, files: Files, content_path: str, configured_headers: Callable[[], set[str]]) -> None:
        self._files = files
        self._content_path = content_path.encode()
        self._configured_headers = configured_headers

    def __call__(self, request: Request) -> Response:
        if request.method not in (b"GET", b"HEAD"):
            return Response(405, b"", ALLOW)
        name = request.path[len(self._content_path) :].decode("utf-8", "replace")
        if name == INDEX:
            return Response(301, b"", b"Location: %b\r\n" % quote(self._content_path).encode())
        asset = self._files.find(name)
        if asset is None:
            if name.startswith(ASSETS):
                return Response(404)
            name = INDEX
            asset = self._files.find(name)
            if asset is None:
                return Response(404)
        return self._serve(request, name or INDEX, asset)

    def _serve(self, request: Request, name: str, asset: Asset) -> Response:
        head = [
            b"Vary: Accept-Encoding\r\n",
            security_head(self._configured_headers()),
            IMMUTABLE if asset.hashed else REVALIDATE,
            f"ETag: {asset.etag}\r\n".encode(),
        ]
        if _matches(request.headers.get(b"if-none-match"), asset.etag):
            return Response(304, b"", b"".join(head))
        head.append(content_type(name))
        for coding in accepted_codings(request.headers.get(b"accept-encoding")):
            if coding in asset.coded:
                head.append(f"Content-Encoding: {coding}\r\n".encode())
                return Response(200, asset.coded[coding], b"".join(head))
        return Response(200, asset.body, b"".join(head))


def _matches(if_none_match: bytes | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")]
    return etag in tags or "*" in tags
