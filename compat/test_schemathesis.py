"""Requests that schemathesis makes from the OpenAPI description, good and bad, against a real agent.

Consul answers some mistakes of callers with 500 and a text; that is part of the interface. What must not happen: an
answer without such a text, a status that is not described, a dropped connection, a traceback.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pyconsul.api.errors import INTERNAL
from pyconsul.testing.processes import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"),
]

# These end the agent, or never end themselves.
LEFT_OUT = ("/v1/agent/leave", "/v1/agent/monitor", "/v1/agent/force-leave/{node}", "/v1/operator/raft/peer")
HOOKS = f"""
import schemathesis


@schemathesis.check
def errors_have_texts(context, response, case):
    assert response.text != {INTERNAL!r}, "a mistake of the server"
    assert response.status_code != 500 or response.text or "%" in (response.request.url or ""), "500 without a text"


@schemathesis.hook
def before_call(context, case, kwargs):
    for name in ("wait", "index"):
        case.query.pop(name, None)  # a read that waits is no test of the description
"""


def test_no_answer_but_those_described(shared_server: Cluster, tmp_path: Path) -> None:
    server = shared_server.agents[0]
    (tmp_path / "hooks.py").write_text(HOOKS)
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(server.request("GET", "/v1/openapi.json").json()))
    left_out = [argument for path in LEFT_OUT for argument in ("--exclude-path", path)]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(description), "--url", server.http_url,
        "--checks", "errors_have_texts,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--seed", "1", "--request-timeout", "20",
        "--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all",
        "--workers", "2", "--no-color", *left_out,
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(
            command, cwd=tmp_path, env={"PATH": "", "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=800, check=False,
        ).returncode  # fmt: skip
        output.seek(0)
        text = output.read()
    print(text[-20_000:])
    assert code == 0, text[-20_000:]
    assert server.running
