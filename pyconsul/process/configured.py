"""Services and checks of configuration files as the agent registers them (reference/cli.md, "Configuration files").

The rules are those of the HTTP API; keys are written with or without underscores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyconsul.agent.local_definitions import SCRIPTS_ARE_OFF, CheckDefinition
from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.api import bodies
from pyconsul.api.agent_checks import CHECK_FIELDS, check_definition
from pyconsul.api.agent_services import SERVICE_FIELDS, service_definition
from pyconsul.errors import CallerError, ConfigError, DecodeError
from pyconsul.records.catalog import Service

_RULE_BROKEN = "Invalid check: "
_LOCAL_SCRIPTS_ARE_OFF = (
    "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' "
    "to true"
)


def configured_services(config: RuntimeConfig) -> list[tuple[Service, list[CheckDefinition]]]:
    """With their checks. Raises ConfigError with the first mistake."""
    found = []
    for given in config.services:
        name = str(given.get("name") or "")
        with _told(f'Failed to register service "{name}"'):
            if not name:
                raise CallerError("Service name missing")
            fields = bodies.object_fields(_service_keys(given), SERVICE_FIELDS)
            found.append(service_definition(config.node_name, fields, config.enable_local_script_checks))
    return found


def configured_checks(config: RuntimeConfig) -> list[CheckDefinition]:
    """Those that are not inside of a service. Raises ConfigError with the first mistake."""
    found = []
    for given in config.checks:
        with _told(f"Failed to register check '{given.get('name') or ''}'"):
            fields = bodies.object_fields(_plain(given), CHECK_FIELDS)
            found.append(check_definition(fields, config.enable_local_script_checks))
    return found


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (CallerError, DecodeError) as error:
        text = str(error)
        if text.startswith(_RULE_BROKEN):
            text = f"Check is not valid: {text.removeprefix(_RULE_BROKEN)}"
        elif text == SCRIPTS_ARE_OFF:
            text = _LOCAL_SCRIPTS_ARE_OFF
        raise ConfigError(f"{what}: {text}") from error


def _plain(given: Mapping[str, object]) -> dict[str, Any]:
    """Keys without underscores, which the HTTP API knows all of."""
    return {name.replace("_", "").lower(): value for name, value in given.items()}


def _service_keys(given: Mapping[str, object]) -> dict[str, Any]:
    fields = _plain(given)
    if fields.get("check") is not None:
        fields["check"] = _check_keys(fields["check"])
    if fields.get("checks") is not None:
        fields["checks"] = [_check_keys(check) for check in bodies.a_list(fields["checks"])]
    return fields


def _check_keys(given: object) -> dict[str, Any]:
    """Of a check of a service, whose id is ``checkid`` over HTTP and ``id`` in files; the service is known."""
    fields = _plain(bodies.an_object(given))
    if "id" in fields:
        fields["checkid"] = fields.pop("id")
    for name in ("serviceid", "token"):
        fields.pop(name, None)
    return fields
