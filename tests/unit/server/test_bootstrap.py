"""The expect rule, as a table of situations."""

from __future__ import annotations

from pyconsul.raft.messages import Server
from pyconsul.server.bootstrap import AskPeers, Conflict, Wait, decide
from pyconsul.server.server_tags import ServerInfo, parse_server, server_tags


def server(name: str, expect: int = 2, bootstrap: bool = False, datacenter: str = "dc1", **tags: str) -> ServerInfo:
    given = {**server_tags(f"id-{name}", datacenter, 8300, bootstrap, expect, None), **tags}
    info = parse_server(name, f"10.0.0.{ord(name)}", 1, given)
    assert info is not None
    return info


def test_too_few_servers_wait() -> None:
    assert decide(2, "dc1", [server("a")]) == Wait("1 of 2 expected servers are known")


def test_enough_servers_all_become_voters_in_one_order() -> None:
    decision = decide(2, "dc1", [server("b"), server("a")])
    assert isinstance(decision, AskPeers)
    assert decision.configuration.servers == (
        Server("id-a", "10.0.0.97:8300", True),
        Server("id-b", "10.0.0.98:8300", True),
    )


def test_three_that_expect_two_and_see_each_other_start_with_three() -> None:
    decision = decide(2, "dc1", [server("a"), server("b"), server("c")])
    assert isinstance(decision, AskPeers)
    assert len(decision.configuration.servers) == 3


def test_other_expectations_are_a_conflict_that_names_the_member() -> None:
    decision = decide(2, "dc1", [server("a"), server("b", expect=3)])
    assert isinstance(decision, Conflict)
    assert "member=b expect=3 ours=2" in decision.why


def test_a_server_in_bootstrap_mode_is_a_conflict() -> None:
    assert isinstance(decide(2, "dc1", [server("a"), server("b", expect=0, bootstrap=True)]), Conflict)


def test_servers_that_expect_nothing_and_other_datacenters_do_not_disturb() -> None:
    assert isinstance(decide(2, "dc1", [server("a"), server("b", expect=0)]), AskPeers)
    assert isinstance(decide(2, "dc1", [server("a"), server("b", datacenter="dc2", expect=5)]), Wait)


def test_read_replicas_do_not_count_and_do_not_vote() -> None:
    assert isinstance(decide(2, "dc1", [server("a"), server("b", read_replica="1")]), Wait)
    decision = decide(2, "dc1", [server("a"), server("b"), server("c", read_replica="1")])
    assert isinstance(decision, AskPeers)
    assert [each.voter for each in decision.configuration.servers] == [True, True, False]


def test_members_with_unreadable_tags_are_no_servers() -> None:
    good = server_tags("id", "dc1", 8300, False, 2, 8302)
    assert parse_server("a", "10.0.0.1", 1, good) is not None
    for key, text in [
        ("role", "node"),
        ("port", "x"),
        ("vsn", ""),
        ("build", "dev"),
        ("expect", "two"),
        ("ft_si", "?"),
    ]:
        assert parse_server("a", "10.0.0.1", 1, {**good, key: text}) is None, key
