"""The autopilot configuration as it is stored."""

from __future__ import annotations

import msgspec


class AutopilotConfig(msgspec.Struct, array_like=True, frozen=True):
    """``config``: the fields of the JSON object by their names."""

    config: dict[str, bool | int | str]
    create_index: int = 0
    modify_index: int = 0
