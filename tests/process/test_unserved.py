"""What an agent says of configuration that it cannot carry out."""

from __future__ import annotations

from pathlib import Path

from pyconsul.testing.processes import Cluster, whole_cluster


def test_keys_without_effect_are_named_at_the_start(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1, ["-hcl", "acl { enabled = true }", "-recursor=9.9.9.9"]) as cluster:
        log = cluster.agents[0].log()
    assert '[WARN]  agent: Configuration keys without effect in this version: keys="acl, recursors"\n' in log


def test_an_agent_without_such_keys_names_none(one_server: Cluster) -> None:
    assert "without effect" not in one_server.agents[0].log()
