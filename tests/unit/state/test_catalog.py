"""Nodes, services and checks: what is written, under which names it is found, and which indexes move."""

from __future__ import annotations

from typing import Any

import pytest

from pyconsul.errors import ApplyError
from pyconsul.fsm import commands as c
from pyconsul.records.catalog import Check, Node, Service

ID1 = "11111111-1111-4111-8111-111111111111"
ID2 = "22222222-2222-4222-8222-222222222222"


def node(name: str = "n", node_id: str = "", address: str = "10.0.0.1", **more: Any) -> Node:
    return Node(node_id, name, address, "dc1", **more)


# Nodes


def test_register_and_change(driver: Any) -> None:
    driver.do(c.Register(node(meta={})))
    created = driver.index
    driver.do(c.Register(node("N", address="10.0.0.2")))
    found = driver.catalog.node("n")
    assert found == node("N", address="10.0.0.2", create_index=created, modify_index=driver.index)
    assert driver.catalog.nodes() == [found] and driver.catalog.nodes_index == driver.index


def test_the_same_again_moves_nothing(driver: Any) -> None:
    command = c.Register(
        node(meta={"a": "1", "b": "2"}),
        Service("n", "web", "web", ["t"], meta={"x": "y"}),
        [Check("", "c", "c", status="passing", service_id="web", definition={"TCP": "a"})],
    )
    driver.do(command)
    before = driver.index
    same = c.Register(node(meta={"b": "2", "a": "1"}), command.service, command.checks)
    fired = [driver.wakes(driver.watches.table, name) for name in ("nodes", "services", "checks")]
    driver.do(same)
    catalog = driver.catalog
    assert catalog.nodes_index == catalog.services_index == catalog.checks_index == before
    assert catalog.service_index("web") == catalog.node("n").modify_index == before
    assert fired == [[], [], []]
    driver.do(c.Register(node(meta=None)))
    assert catalog.nodes_index == driver.index, "null and {} differ from something"


def test_skip_node_update(driver: Any) -> None:
    driver.do(c.Register(node(address="10.0.0.9", node_id=ID1)))
    driver.do(c.Register(node(address=""), skip_node_update=True))
    assert driver.catalog.node("n").address == "10.0.0.9" and driver.catalog.node("n").id == ID1
    driver.do(c.Register(node("new", address=""), skip_node_update=True))
    assert driver.catalog.node("new") is not None


def test_rename_by_id(driver: Any) -> None:
    driver.do(c.Register(node("old", ID1), Service("old", "web", "web"), [Check("", "c", "c", status="passing")]))
    created = driver.index
    driver.session(1, node="old")
    driver.do(c.Register(node("new", ID1)))
    assert driver.catalog.node("old") is None
    assert driver.catalog.node("new").create_index == created
    assert driver.catalog.services() == driver.catalog.checks() == driver.sessions.list() == []
    assert driver.catalog.service_index("web") == driver.catalog.nodes_index == driver.index


def test_a_change_of_case_with_an_id_is_a_rename(driver: Any) -> None:
    driver.do(c.Register(node("n", ID1), Service("n", "web", "web")))
    driver.do(c.Register(node("N", ID1)))
    assert driver.catalog.services() == [] and driver.catalog.nodes()[0].node == "N"


def test_ids_come_and_go(driver: Any) -> None:
    driver.do(c.Register(node(), Service("n", "web", "web")))
    driver.do(c.Register(node(node_id=ID1)))
    assert driver.catalog.node_by_id(ID1.upper()) == driver.catalog.node("n")
    driver.do(c.Register(node(node_id=ID2)))
    assert driver.catalog.node_by_id(ID1) is None and driver.catalog.node_by_id(ID2) is not None
    driver.do(c.Register(node()))
    assert driver.catalog.node("n").id == "" and driver.catalog.node_by_id(ID2) is None
    assert len(driver.catalog.services()) == 1


def test_a_name_is_reserved_while_serf_is_not_critical(driver: Any) -> None:
    driver.node("n", Check("", "serfHealth", "s", status="passing"), node_id=ID1)
    text = f'failed inserting node: Error while renaming Node ID: "{ID2}"%s: Node name n is reserved by node {ID1} '
    text += "with name n (10.0.0.1)"
    assert str(driver.do(c.Register(node("n", ID2)))) == text % ""
    driver.do(c.Register(node("m", ID2)))
    assert str(driver.do(c.Register(node("n", ID2, "10.0.0.2")))) == text % " (10.0.0.2)"
    assert driver.catalog.node("m") is not None
    driver.node("n", Check("", "serfHealth", "s", status="critical"), node_id=ID1)
    assert driver.do(c.Register(node("n", ID2))) is True
    assert [found.id for found in driver.catalog.nodes()] == [ID2]


def test_found_by_a_prefix_of_the_id(driver: Any) -> None:
    driver.do(c.Register(node("a", "7d1c2b3a-4455-4667-8899-aabbccddee01")))
    driver.do(c.Register(node("b", "7d1c2b3a-4455-4667-8899-aabbccddee02")))
    driver.do(c.Register(node("c", "7dffffff-4455-4667-8899-aabbccddee02")))
    find = driver.catalog.node_by_name_or_id
    assert find("C").node == find("7dff").node == find("7DFf-").node == find("7dff0").node == "c"
    assert find("7d1c2b3a-4455-4667-8899-aabbccddee02").node == "b"
    assert find("7d") is find("7d1c") is find("7") is find("7e") is find("zz") is find("") is None


# Services and checks


def test_services_are_found_in_any_case(driver: Any) -> None:
    driver.node("B")
    driver.node("a")
    driver.service("b", "Web-1", "Web")
    driver.service("A", "web-1", "web")
    driver.service("a", "db")
    assert [(s.node, s.id) for s in driver.catalog.instances("WEB")] == [("A", "web-1"), ("b", "Web-1")]
    assert [s.id for s in driver.catalog.services_of_node("A")] == ["db", "web-1"]
    assert driver.catalog.service("B", "WEB-1").service == "Web"
    assert len(driver.catalog.services()) == 3


def test_a_service_under_another_name_moves(driver: Any) -> None:
    driver.node("n")
    driver.service("n", "s", "old")
    fired = driver.wakes(driver.watches.service, "old")
    driver.service("n", "s", "new")
    assert driver.catalog.instances("old") == [] and len(driver.catalog.instances("new")) == 1
    assert driver.catalog.service_index("old") == driver.catalog.service_index("new") == driver.index
    assert fired == [driver.index]


def test_checks_take_name_and_tags_of_their_service(driver: Any) -> None:
    driver.node("n")
    driver.service("n", "w", "web", tags=["a"])
    driver.check("N", "c", service_id="W")
    driver.check("n", "node-check")
    check = driver.catalog.check("n", "C")
    assert (check.service_name, check.service_tags) == ("web", ["a"])
    driver.service("n", "w", "web", tags=["b"])
    assert driver.catalog.check("n", "c").service_tags == ["a"]
    assert [x.check_id for x in driver.catalog.checks_of_service("WEB")] == ["c"]
    assert [x.check_id for x in driver.catalog.checks_of_instance("n", "w")] == ["node-check", "c"]
    assert [x.check_id for x in driver.catalog.checks_of_node("N")] == ["c", "node-check"]


def test_checks_by_state(driver: Any) -> None:
    driver.node("n")
    driver.check("n", "a", "critical")
    driver.check("n", "b", "Odd")
    driver.check("n", "c", "")
    catalog = driver.catalog
    assert [x.check_id for x in catalog.checks_in_state("CRITICAL")] == ["a", "c"]
    assert [x.check_id for x in catalog.checks_in_state("odd")] == ["b"]
    assert len(catalog.checks_in_state("any")) == 3 and catalog.checks_in_state("passing") == []


@pytest.mark.parametrize(
    "command, text",
    [
        (
            c.Register(node(), None, [Check("other", "x", "x")]),
            'check node "other" does not match node "n"',
        ),
        (
            c.Register(node(), None, [Check("", "", "")]),
            (
                "failed inserting check: failed health check lookup: index error: object is missing a value for this "
                'index on node "n"'
            ),
        ),
        (
            c.Register(node(), None, [Check("", "x", "x", service_id="none")]),
            'failed inserting check: Missing service registration on node "n"',
        ),
        (
            c.Register(node(), Service("n", "w", "w", meta={"": "x"})),
            (
                "failed inserting service: Invalid Service Meta for node n and serviceID w: "
                "Couldn't load metadata pair ('', 'x'): Key cannot be blank"
            ),
        ),
        (
            c.Register(node(), Service("n", "w", "w", meta={f"k{i}": "" for i in range(65)})),
            (
                "failed inserting service: Invalid Service Meta for node n and serviceID w: "
                "Node metadata cannot contain more than 64 key/value pairs"
            ),
        ),
    ],
)
def test_refused_as_a_whole(driver: Any, command: Any, text: str) -> None:
    driver.service("n", "there")
    before = driver.state()
    result = driver.do(command)
    assert isinstance(result, ApplyError) and str(result) == text
    assert driver.state() == before


@pytest.mark.parametrize(
    "key, value, reason",
    [
        ("a b", "x", "Key contains invalid characters"),
        ("a\n", "x", "Key contains invalid characters"),
        ("k" * 129, "x", "Key is too long (limit: 128 characters)"),
        ("consul-x", "x", "Key prefix 'consul-' is reserved for internal use"),
        ("k", "é" * 257, "Value is too long (limit: 512 characters)"),
        ("k" * 128, "é" * 256, None),
    ],
)
def test_service_metadata(driver: Any, key: str, value: str, reason: str | None) -> None:
    driver.node("n")
    result = driver.service("n", "w", meta={key: value})
    if reason is None:
        assert result is True
    else:
        assert str(result).endswith(f"Couldn't load metadata pair ('{key}', '{value}'): {reason}")


# Deregistration


def test_deregister(driver: Any) -> None:
    driver.node("n")
    driver.service("n", "w")
    driver.check("n", "cw", service_id="w")
    driver.check("n", "cn")
    driver.do(c.Deregister("N", service_id="W", check_id="cn"))
    assert [x.check_id for x in driver.catalog.checks()] == ["cn"] and driver.catalog.services() == []
    driver.do(c.Deregister("n", check_id="CN"))
    assert driver.catalog.checks() == []
    driver.do(c.CoordinateBatch([("n", [0.0] * 8, 1.5, 0.0, 0.0), ("none", [0.0] * 8, 1.5, 0.0, 0.0)]))
    assert [x.node for x in driver.catalog.coordinates()] == ["n"]
    assert driver.catalog.coordinates_index == driver.index
    driver.do(c.Deregister("n"))
    assert driver.catalog.nodes() == driver.catalog.coordinates() == []
    assert driver.catalog.coordinate("n") is None


def test_deregistering_nothing_moves_nothing(driver: Any) -> None:
    driver.node("n")
    for command in (c.Deregister("x"), c.Deregister("n", service_id="x"), c.Deregister("n", check_id="x")):
        assert driver.do(command) is True
    catalog = driver.catalog
    assert (catalog.nodes_index, catalog.services_index, catalog.checks_index) == (1, 1, 1)


def test_a_service_without_id_and_name(driver: Any) -> None:
    driver.do(c.Register(node(), Service("n", "", ""), [Check("", "c", "c")]))
    assert driver.catalog.instances("") != []
    driver.do(c.Deregister("n"))
    assert driver.catalog.services() == driver.catalog.checks() == []


# Indexes and watches: which of them a change moves


SERVICE_A, SERVICE_B, CONNECT = "service a", "service b", "connect a"
ALL = {"nodes", "services", "checks", SERVICE_A, SERVICE_B, CONNECT}
CHANGES: dict[str, tuple[Any, set[str]]] = {
    "a new node": (c.Register(node("new")), {"nodes"}),
    "a changed node": (c.Register(node("n", address="10.0.0.9")), {"nodes", SERVICE_A, SERVICE_B, CONNECT}),
    "a changed instance": (
        c.Register(node("n"), Service("n", "a", "a", port=1)),
        {"services", SERVICE_A},
    ),
    "a new instance elsewhere": (c.Register(node("m"), Service("m", "a", "a")), {"services", SERVICE_A}),
    "a changed proxy": (
        c.Register(
            node("n"),
            Service("n", "p", "p", kind="connect-proxy", proxy={"DestinationServiceName": "A"}, port=9),
        ),
        {"services", CONNECT},
    ),
    "a changed check of a service": (
        c.Register(node("n"), None, [Check("", "ca", "ca", status="warning", service_id="a")]),
        {"checks", SERVICE_A},
    ),
    "a changed check of a node": (
        c.Register(node("n"), None, [Check("", "cn", "cn", status="warning")]),
        {"checks", SERVICE_A, SERVICE_B, CONNECT},
    ),
    "a check that moves to another service": (
        c.Register(node("n"), None, [Check("", "ca", "ca", status="passing", service_id="b")]),
        {"checks", SERVICE_A, SERVICE_B},
    ),
    "a removed check of a node": (c.Deregister("n", check_id="cn"), ALL - {"nodes"}),
    "a removed check of a service": (c.Deregister("n", check_id="ca"), {"services", "checks", SERVICE_A}),
    "a removed check of a node without services": (c.Deregister("m", check_id="cm"), {"checks"}),
    "a removed instance": (c.Deregister("n", service_id="b"), {"services", SERVICE_B}),
    "a removed instance with checks": (c.Deregister("n", service_id="a"), {"services", "checks", SERVICE_A}),
    "the removed node": (c.Deregister("n"), ALL),
    "a removed node without services": (c.Deregister("m"), {"nodes", "checks"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_moves(driver: Any, what: str) -> None:
    driver.node("n", Check("", "cn", "cn", status="passing"))
    driver.node("m", Check("", "cm", "cm", status="passing"))
    driver.service("n", "a")
    driver.service("n", "b")
    driver.service("n", "p", kind="connect-proxy", proxy={"DestinationServiceName": "a"})
    driver.check("n", "ca", service_id="a")
    catalog, watches = driver.catalog, driver.watches

    def indexes() -> dict[str, int]:
        return {
            "nodes": catalog.nodes_index, "services": catalog.services_index, "checks": catalog.checks_index,
            SERVICE_A: catalog.service_index("a"), SERVICE_B: catalog.service_index("B"),
            CONNECT: catalog.connect_index("A"),
        }  # fmt: skip

    before = indexes()
    fired = {name: driver.wakes(watches.table, name) for name in ("nodes", "services", "checks")} | {
        SERVICE_A: driver.wakes(watches.service, "A"),
        SERVICE_B: driver.wakes(watches.service, "b"),
        CONNECT: driver.wakes(watches.connect, "a"),
    }
    command, moved = CHANGES[what]
    driver.do(command)
    assert {name for name, index in indexes().items() if index != before[name]} == moved
    assert {name for name, at in fired.items() if at} == moved
    assert all(index == driver.index for name, index in indexes().items() if name in moved)


def test_services_without_instances_share_the_index_of_the_last_loss(driver: Any) -> None:
    catalog = driver.catalog
    assert catalog.service_index("x") == 1
    driver.node("n")
    driver.service("n", "a")
    driver.service("n", "b")
    assert catalog.service_index("x") == driver.index
    driver.do(c.Deregister("n", service_id="a"))
    lost = driver.index
    driver.node("m")
    assert catalog.service_index("a") == catalog.service_index("x") == catalog.connect_index("x") == lost
    fired = driver.wakes(driver.watches.service, "a")
    driver.do(c.Deregister("n", service_id="b"))
    assert catalog.service_index("a") == driver.index and fired == [driver.index]
    driver.service("n", "a")
    assert catalog.service_index("a") == driver.index


def test_native_and_proxy_instances(driver: Any) -> None:
    driver.node("n")
    driver.service("n", "w", "web", connect={"Native": True})
    driver.service("n", "p", "px", kind="connect-proxy", proxy={"DestinationServiceName": "Web"})
    driver.service("n", "x", "web")
    assert [s.id for s in driver.catalog.connect_instances("WEB")] == ["p", "w"]
    fired = driver.wakes(driver.watches.connect, "web")
    driver.service("n", "p", "px", kind="connect-proxy", proxy={"DestinationServiceName": "db"})
    assert fired == [driver.index]
    assert [s.id for s in driver.catalog.connect_instances("web")] == ["w"]
