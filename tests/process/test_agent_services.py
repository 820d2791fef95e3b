"""Services of real agents: they outlive the process, other agents do not have them, events find them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for


def register(agent: AgentProcess, **definition: object) -> None:
    answer = agent.request("PUT", "/v1/agent/service/register", json.dumps(definition).encode())
    assert (answer.status, answer.body) == (200, b""), answer


def services(agent: AgentProcess) -> set[str]:
    return set(agent.request("GET", "/v1/agent/services").json())


def instances(agent: AgentProcess, service: str) -> list[tuple[str, str]]:
    """(node, id of the service) of those that pass."""
    answer = agent.request("GET", f"/v1/health/service/{service}?passing")
    assert answer.status == 200, answer
    return [(each["Node"]["Node"], each["Service"]["ID"]) for each in answer.json()]


def test_services_outlive_the_process(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, extra=["-hcl", 'check { name = "from-file" ttl = "1h" }']) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        register(agent, Name="web", Port=80, Tags=["a"], Check={"TTL": "1h"})
        register(agent, Name="gone", Port=81)
        for check_id in ("service:web", "from-file"):
            assert agent.request("PUT", f"/v1/agent/check/pass/{check_id}?note=fine").status == 200
        assert agent.request("PUT", "/v1/agent/service/deregister/gone").status == 200
        agent.kill9()
        agent.start()
        agent.wait_for_leader()
        assert services(agent) == {"web"}
        checks = agent.request("GET", "/v1/agent/checks").json()
        assert {check_id: (check["Status"], check["Output"]) for check_id, check in checks.items()} == {
            "service:web": ("passing", "fine"),
            "from-file": ("passing", "fine"),
        }
        assert wait_for("the catalog has it", lambda: instances(agent, "web")) == [("docker1", "web")]
        # What others remove from the catalog comes back, at the latest when the agent starts again.
        body = json.dumps({"Node": "docker1", "ServiceID": "web"}).encode()
        assert agent.request("PUT", "/v1/catalog/deregister", body).status == 200
        assert instances(agent, "web") == []
        agent.terminate()
        agent.start()
        wait_for("the service is back in the catalog", lambda: instances(agent, "web"))
    cluster.assert_no_tracebacks()


def test_services_belong_to_their_agent(three_servers: Cluster) -> None:
    first, second, third = three_servers.agents
    register(first, Name="web", Tags=["blue"], Check={"TTL": "1h", "Status": "passing"})
    register(second, Name="web", Tags=["green"], Check={"TTL": "1h", "Status": "passing"})
    assert services(first) == services(second) == {"web"} and services(third) == set()
    assert sorted(instances(third, "web")) == [("docker1", "web"), ("docker2", "web")]
    assert third.request("PUT", "/v1/agent/check/fail/service:web").status == 500, "that check is another agent's"
    assert second.request("PUT", "/v1/agent/check/fail/service:web").status == 200
    assert instances(third, "web") == [("docker1", "web")]

    def names(agent: AgentProcess) -> list[str]:
        return [event["Name"] for event in agent.request("GET", "/v1/event/list").json()]

    assert third.request("PUT", "/v1/event/fire/for-blue?service=^web$&tag=blu").status == 200
    assert third.request("PUT", "/v1/event/fire/for-all").status == 200
    for agent in three_servers.agents:
        wait_for(f"{agent.name} has the last event", lambda agent=agent: "for-all" in names(agent))  # type: ignore[misc]
    wait_for("the agent with the service has the event", lambda: "for-blue" in names(first))
    assert "for-blue" not in names(second) + names(third)


CONFIGURED = """
service { name = "web" port = 80 tags = ["blue"] check { id = "web-ttl" ttl = "1h" } }
services = [{ name = "gone" }]
check { name = "disk" ttl = "1h" status = "passing" }
checks = [{ name = "script" args = ["/bin/sh", "-c", "echo $0"] interval = "1s" }]
"""


def statuses(agent: AgentProcess) -> dict[str, str]:
    return {check_id: check["Status"] for check_id, check in agent.request("GET", "/v1/agent/checks").json().items()}


def test_configuration_files_register_services_and_checks(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    file = folder / "services.hcl"
    file.write_text(CONFIGURED)
    with Cluster(tmp_path, size=1) as cluster:
        agent = cluster.agents[0]
        agent.arguments += ["-config-dir", str(folder), "-enable-local-script-checks"]
        cluster.start()
        assert services(agent) == {"web", "gone"}
        first = statuses(agent)
        assert set(first) == {"web-ttl", "disk", "script"}
        assert (first["web-ttl"], first["disk"]) == ("critical", "passing")
        wait_for("the script has run", lambda: statuses(agent)["script"] == "passing")
        assert agent.request("GET", "/v1/agent/checks").json()["script"]["Output"] == "/bin/sh\n"
        script = b'{"Name": "s", "Args": ["true"], "Interval": "1s"}'
        assert agent.request("PUT", "/v1/agent/check/register", script).status == 500, "for files only"
        assert agent.request("PUT", "/v1/agent/check/pass/web-ttl").status == 200
        assert wait_for("the catalog has it", lambda: instances(agent, "web")) == [("docker1", "web")]
        register(agent, Name="by-http")

        def reload(text: str) -> int:
            file.write_text(text)
            return agent.request("PUT", "/v1/agent/reload").status

        assert reload("service { port = 80 }") == 500, "a bad file changes nothing"
        assert reload('check { name = "c" service_id = "nosuch" ttl = "1s" }') == 500
        assert services(agent) == {"web", "gone", "by-http"}
        web = CONFIGURED.splitlines()[1]
        assert reload(web.replace("80", "81") + '\nservices = [{ name = "new" }]') == 200
        assert services(agent) == {"web", "new", "by-http"}
        assert agent.request("GET", "/v1/agent/service/web").json()["Port"] == 81
        assert statuses(agent) == {"web-ttl": "passing"}, "the status of a check that stays is kept"
        known = agent.request("GET", "/v1/catalog/services").json()
        assert set(known) == {"consul", "web", "new", "by-http"}

        file.unlink()  # files alone say what they say: nothing of it was kept in the data directory
        agent.terminate()
        agent.start()
        assert services(agent) == {"by-http"} and statuses(agent) == {}
        agent.wait_for_leader()
        wait_for(
            "the catalog has lost what the files had",
            lambda: set(agent.request("GET", "/v1/catalog/services").json()) == {"consul", "by-http"},
        )
    cluster.assert_no_tracebacks()


SCRIPTS_ARE_OFF = (
    "Failed to register check 'c': Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
    "'enable_local_script_checks' to true"
)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ("service { port = 80 }", 'Failed to register service "": Service name missing'),
        ('check { name = "c" args = ["true"] interval = "1s" }', SCRIPTS_ARE_OFF),
    ],
)
def test_a_bad_definition_is_refused_at_the_start(tmp_path: Path, refused: str, why: str) -> None:
    with Cluster(tmp_path, size=1) as cluster:
        agent = cluster.agents[0]
        agent.arguments += ["-hcl", refused]
        agent.start(wait=False)
        assert agent.wait_exit() == 1
        assert f'Error starting agent: error="{why}"' in agent.log()
    cluster.assert_no_tracebacks()
