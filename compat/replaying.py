"""Plays recorded conversations in tests: which scenarios a set-up can show, and what of each differs."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conform_match import Mismatch
from conform_run import Run

HERE = Path(__file__).parent
KV = HERE / "recordings" / "kv"
AGENT = HERE / "recordings" / "agent"

Results = dict[tuple[str, str], str]
"""What differs, by file and scenario; "" when it holds."""

NO_FILTER = "filter expressions are not there yet"
NO_GRPC = "gRPC and H2PING checks are not run; they are refused"
MISSING = {
    "grpc_and_h2ping_checks_nobody_there": NO_GRPC,
    "service_register_check_spellings": NO_GRPC,
    "agent_services_empty_filter_result": NO_FILTER,
    "service_register_check_ids": NO_FILTER,
    "service_register_empty_check_is_none": NO_FILTER,
    "service_register_proxy": "catalog/connect is not there yet",
    "service_register_sidecar": "sidecars are not registered with their service",
}
"""Scenarios that do not hold, with the reason."""


def files(folder: Path) -> list[str]:
    """The names of the recordings in a folder."""
    return sorted(file.stem for file in folder.glob("*.json"))


def scenarios_of(name: str, tags: set[str], nodes: int = 1) -> list[dict[str, Any]]:
    """The scenarios of a file that so many servers with this set-up can show."""
    folder = AGENT if name.startswith("agent-") else KV
    found = json.loads((folder / f"{name}.json").read_text())
    return [one for one in found if one.get("cluster", 1) <= nodes and set(one.get("needs", [])) <= tags]


def play(nodes: Sequence[str], scenario: dict[str, Any]) -> str:
    """What differs; "" when it holds. ``nodes``: addresses, the leader's first."""
    try:
        with closing(Run(scenario, nodes)) as run:
            run.play()
    except Mismatch as why:
        return str(why)
    return ""


def play_all(names: Sequence[str], nodes: Sequence[str], tags: set[str], parallel: int = 32) -> Results:
    """Plays all scenarios of the files; those that share state with others come last, one by one."""
    chosen = [(name, scenario) for name in names for scenario in scenarios_of(name, tags, len(nodes))]
    together = [item for item in chosen if not item[1].get("serial")]
    results: Results = {}
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for item, why in zip(together, pool.map(lambda one: play(nodes, one[1]), together), strict=True):
            results[item[0], item[1]["name"]] = why
    for node in nodes:
        remove_services(node)
    for name, scenario in chosen:
        if scenario.get("serial"):
            results[name, scenario["name"]] = play(nodes, scenario)
    return results


def remove_services(node: str) -> None:
    """Scenarios that were broken off leave services and checks of the agent behind; some count them."""
    host, _, port = node.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    for kind in ("service", "check"):
        connection.request("GET", f"/v1/agent/{kind}s")
        answer = connection.getresponse()
        text = answer.read()
        for each in json.loads(text) if answer.status == 200 else ():
            connection.request("PUT", f"/v1/agent/{kind}/deregister/{quote(each)}")
            connection.getresponse().read()
    connection.close()


def summary(results: Results) -> str:
    held = sum(not why for why in results.values())
    return f"{held} of {len(results)} scenarios hold"


def judge(results: Results, file: str = "") -> None:
    """Fails unless exactly the scenarios of MISSING differ. ``file``: of that file only."""
    mine = {scenario: why for (name, scenario), why in results.items() if file in ("", name)}
    assert mine, f"nothing was played of {file}"
    held = [scenario for scenario, why in mine.items() if not why]
    print(f"{file or 'all'}: {len(held)} of {len(mine)} scenarios hold")
    differing = {scenario: why for scenario, why in mine.items() if why and scenario not in MISSING}
    assert not differing, "\n".join(f"{scenario}: {why}" for scenario, why in differing.items())
    unexpected = [scenario for scenario in held if scenario in MISSING]
    assert not unexpected, f"these hold now, take them out of MISSING: {unexpected}"
