#!/usr/bin/env python3
"""Writes docs/compatibility.md from the recordings and from what is known to differ (replaying.MISSING).

The replay fails unless exactly these scenarios differ, so that the page says what the replay found.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from replaying import AGENT, KV, MISSING, files

from pyconsul.api.openapi_endpoints import ENDPOINTS
from pyconsul.api.request import unescape
from pyconsul.api.routes import ROUTES, Router

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"
NOT_PLAYED = {
    "agent-anti-entropy-slow": "takes minutes; its rules have unit tests",
    "agent-check-alias": "alias checks are not run",
    "agent-metrics-slow": "a lone server without requests counts nothing yet",
}

HEAD = """# Compatibility

<!-- Written by compat/write_compatibility.py; do not edit. -->

pyconsul is compared with Consul 1.10.7 by playing recorded conversations with it: each is a scenario of requests, and
the answers must be the same in status, headers, body, and in how indexes move. The scenarios are in
`compat/recordings`; the tests play them against the HTTP layer alone and against real agents, one server and three
(`compat/README.md`). The commands: [Compatibility of the command line](compatibility-cli.md).

"""

CLIENTS = """
## Clients

Run against a real agent by the tests in `compat/`:

| client | version | what it does there |
| --- | --- | --- |
| Go `github.com/hashicorp/consul/api` | 1.28.2 | keys, transactions, sessions, locks, semaphores, services, events |
| Go `github.com/docker/libkv` | 0.2.1 | its own exported test suite, except for watches (see below) |
| dockerd (cluster store) | 20.10 | recorded conversations of three hosts |
| Python `py-consul`, `python-consul2` | 1.8.0, 0.1.5 | keys, waiting, sessions, locks, transactions, services, events |
| npm `consul` | 2.0.1 | keys, sessions, transactions, services, watches |
| curl | any | bodies of every kind, compression, HTTP/1.0, redirects |

libkv's test of watches writes the value that is there already and expects an event. A write that changes nothing wakes
nobody, in Consul as here, so that this test fails against both.

## What is not there

| | |
| --- | --- |
| ACLs (`/v1/acl/…`) | 404; tokens are accepted and have no effect |
| prepared queries (`/v1/query…`) | 404 |
| Connect, intentions, config entries (`/v1/connect/…`, `/v1/config…`) | 404 |
| `/v1/catalog/connect/…`, `/v1/health/connect/…`, `/v1/health/ingress/…`, `/v1/catalog/node-services/…` | 404 |
| snapshots over HTTP (`/v1/snapshot`) | 404 |
| DNS, HTTPS, gRPC | their ports are not opened |
| some keys of the configuration | no effect; marked in [the reference](reference/configuration.md), told at the start |
| filter expressions (`filter=`) | refused on the agent's endpoints, not looked at elsewhere |
| checks other than TTL, HTTP, TCP and script checks | refused at registration |
| sidecar services | refused at registration |
| other datacenters | only the own one is known |
| `cached` | accepted; every read is fresh |

## What differs on purpose

| | |
| --- | --- |
| waiting for a key that is not there | woken by its creation only; Consul also wakes some for other keys |
| a disk without room | writes are refused with 503, reads go on |
| `/v1/openapi.json`, `/v1/internal/ui/sessions`, `/v1/operator/raft/transfer-leader` | additions |
| `[null]` as a transaction | an empty one; Consul drops the connection |
"""


def requests_of(scenario: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of every request in a scenario, the path decoded and with variables filled in."""
    for step in scenario["steps"]:
        if "method" in step and "path" in step:
            path = re.sub(r"\$\{[^}]*\}", "x", step["path"]).partition("?")[0]
            yield step["method"], unescape(re.sub(r"%(?![0-9A-Fa-f]{2})", "", path).encode()).decode(errors="replace")


def page() -> str:
    """The text of the page."""
    router = Router(ROUTES)
    played: dict[str, set[str]] = {}
    differing: dict[str, set[str]] = {}
    for folder in (KV, AGENT):
        for name in files(folder):
            if name in NOT_PLAYED:
                continue
            for scenario in json.loads((folder / f"{name}.json").read_text()):
                for method, path in requests_of(scenario):
                    found = router.find(path.encode())
                    if found is None or method.encode() not in found[0].handlers:
                        continue
                    asked = f"{method} {found[0].path.decode()}"
                    played.setdefault(asked, set()).add(scenario["name"])
                    if scenario["name"] in MISSING:
                        differing.setdefault(asked, set()).add(scenario["name"])
    total = {scenario for scenarios in played.values() for scenario in scenarios}
    lines = [HEAD, f"{len(total) - len(MISSING)} of {len(total)} scenarios hold.\n\n", "## Endpoints\n\n"]
    lines.append("| endpoint | scenarios that use it | differ |\n| --- | --- | --- |\n")
    for (method, path), endpoint in ENDPOINTS.items():
        key = f"{method} {path}"
        if key in played:
            shown = path + (f"{{{endpoint.argument}}}" if endpoint.argument else "")
            lines.append(f"| `{method} {shown}` | {len(played[key])} | {len(differing.get(key, ())) or '–'} |\n")
    lines.append("\nWhat no scenario uses has tests of its own: docs/reference/http-api.md lists all endpoints.\n")
    lines.append("\n## Scenarios that differ\n\n| scenario | reason |\n| --- | --- |\n")
    lines += [f"| {name} | {why} |\n" for name, why in sorted(MISSING.items())]
    lines.append("\nNot played, of the recordings of the agent:\n\n| file | reason |\n| --- | --- |\n")
    lines += [f"| {name} | {why} |\n" for name, why in sorted(NOT_PLAYED.items())]
    return "".join([*lines, CLIENTS])


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"written: {PAGE}\n")
