"""Recordings that are not played here, and those that do not hold, each with its reason."""

from __future__ import annotations

from cli_recordings import Recording

NOT_SERVED = "answered by one line that says it is not served; listed in docs/compatibility-cli.md"

GROUPS_NOT_PLAYED = {
    "agent": "test_cli_agent.py plays them",
    "acl": NOT_SERVED,
    "login": NOT_SERVED,
    "logout": NOT_SERVED,
    "other commands": NOT_SERVED,
}
"""Whole groups that this file leaves out."""

EXCEPTIONS: dict[str, str] = {}
"""By title: why we differ."""

_UNSERVED_WORDS = ("acl", "config", "connect", "intention")


def reason(recording: Recording) -> str:
    """Why the recording need not hold; empty when it must."""
    if recording.title in EXCEPTIONS:
        return EXCEPTIONS[recording.title]
    if "Available commands" in recording.stdout + recording.stderr:
        return "our command list has other rows; tests/unit/cli/test_dispatch.py checks its shape"
    if recording.group == "snapshot":
        return "snapshot files are not written or read yet: the commands check their arguments and refuse"
    if recording.group in GROUPS_NOT_PLAYED:
        return GROUPS_NOT_PLAYED[recording.group]
    return ""
