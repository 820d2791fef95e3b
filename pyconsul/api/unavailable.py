"""Endpoints of what is not there: Consul's answers while ACLs and Connect are off."""

from __future__ import annotations

from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, text_response

ACLS_ARE_OFF = "ACL support disabled"
CONNECT_IS_OFF = "Connect must be enabled in order to use this endpoint"


def acls(api: Api, request: Request) -> Response:
    return text_response(401, ACLS_ARE_OFF)


def connect(api: Api, request: Request) -> Response:
    return text_response(500, CONNECT_IS_OFF)
