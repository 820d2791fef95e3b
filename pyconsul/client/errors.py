"""What can go wrong between a client and an agent. The texts are those that Consul's own client shows."""

from __future__ import annotations

from pyconsul.errors import PyconsulError


class ClientError(PyconsulError):
    """Root of the client's errors."""


class SettingsError(ClientError):
    """An address, a token file or a certificate cannot be used. Raised before any request."""


class RequestError(ClientError):
    """No answer came. The text is ``Get "URL": REASON``.

    ``refused``: nothing listens at the address. ``sent``: the request may have reached the agent.
    """

    def __init__(self, text: str, refused: bool = False, sent: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
        self.sent = sent


class StatusError(ClientError):
    """The agent answered with an error. ``str()`` holds the code and the body as it was sent."""

    def __init__(self, code: int, body: bytes) -> None:
        text = body.decode("utf-8", "replace")
        super().__init__(f"Unexpected response code: {code} ({text})")
        self.code = code
        self.body = body


class AnswerError(ClientError):
    """The answer has a good status and is not what an agent would say."""
