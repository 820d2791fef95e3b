"""What the Python clients do, run in a process of its own with one of them on the path: python_checks.py HOST PORT.

py-consul and python-consul2 are both called ``consul`` and have the same interface as far as this goes.
"""

from __future__ import annotations

import base64
import sys
import threading

import consul


def keys(client: consul.Consul) -> None:
    assert client.kv.put("py/a", b"1", flags=7) is True
    index, entry = client.kv.get("py/a")
    assert entry["Value"] == b"1" and entry["Flags"] == 7, entry
    assert int(index) == entry["ModifyIndex"]
    assert client.kv.put("py/a", "2", cas=0) is False
    assert client.kv.put("py/a", "2", cas=entry["ModifyIndex"]) is True
    assert client.kv.put("py/umlaut", "ü") is True
    _, found = client.kv.get("py/", recurse=True)
    assert [each["Key"] for each in found] == ["py/a", "py/umlaut"], found
    _, names = client.kv.get("py/", keys=True)
    assert names == ["py/a", "py/umlaut"], names
    assert client.kv.get("py/none")[1] is None
    assert client.kv.delete("py/", recurse=True) is True
    assert client.kv.get("py/a")[1] is None


def waiting(client: consul.Consul, other: consul.Consul) -> None:
    client.kv.put("py/wait", "1")
    index, _ = client.kv.get("py/wait")
    writer = threading.Timer(0.2, lambda: other.kv.put("py/wait", "2"))
    writer.start()
    later, entry = client.kv.get("py/wait", index=index, wait="20s")
    writer.join()
    assert entry["Value"] == b"2" and int(later) > int(index), (index, later, entry)
    client.kv.delete("py/wait")


def sessions(client: consul.Consul) -> None:
    session = client.session.create(name="py", ttl=10, lock_delay=0, behavior="delete")
    _, shown = client.session.info(session)
    assert shown["Name"] == "py" and shown["TTL"] == "10s" and shown["Behavior"] == "delete", shown
    assert session in [each["ID"] for each in client.session.list()[1]]
    assert session in [each["ID"] for each in client.session.node(shown["Node"])[1]]
    assert client.session.renew(session)["ID"] == session
    assert client.kv.put("py/held", "x", acquire=session) is True
    assert client.session.destroy(session) is True
    assert client.kv.get("py/held")[1] is None, "the key outlived its session"
    try:
        client.session.renew(session)
    except consul.NotFound:
        return
    raise AssertionError("a session that was destroyed could be renewed")


def locks(client: consul.Consul) -> None:
    first, second = (client.session.create(ttl=10, lock_delay=0) for _ in range(2))
    assert client.kv.put("py/lock", "first", acquire=first) is True
    assert client.kv.put("py/lock", "second", acquire=second) is False
    _, entry = client.kv.get("py/lock")
    assert entry["Session"] == first and entry["LockIndex"] == 1 and entry["Value"] == b"first", entry
    assert client.kv.put("py/lock", "free", release=second) is False
    assert client.kv.put("py/lock", "free", release=first) is True
    assert client.kv.put("py/lock", "second", acquire=second) is True
    assert client.kv.get("py/lock")[1]["LockIndex"] == 2
    for session in (first, second):
        client.session.destroy(session)
    client.kv.delete("py/lock")


def transactions(client: consul.Consul) -> None:
    value = base64.b64encode(b"v").decode()
    answer = client.txn.put(
        [{"KV": {"Verb": "set", "Key": "py/txn", "Value": value}}, {"KV": {"Verb": "get", "Key": "py/txn"}}]
    )
    assert [each["KV"]["Value"] for each in answer["Results"]] == [None, value], answer
    try:
        client.txn.put([{"KV": {"Verb": "check-not-exists", "Key": "py/txn"}}])
    except consul.ConsulException:
        client.kv.delete("py/txn")
        return
    raise AssertionError("a transaction that must fail did not")


def services(client: consul.Consul) -> None:
    assert client.agent.service.register(
        "py-web", service_id="py-1", port=80, tags=["a"], check=consul.Check.ttl("60s")
    )
    assert client.agent.services()["py-1"]["Port"] == 80
    assert client.health.service("py-web", passing=True)[1] == []
    assert client.agent.check.ttl_pass("service:py-1", "fine")
    [entry] = client.health.service("py-web", passing=True)[1]
    assert entry["Service"]["ID"] == "py-1", entry
    [instance] = client.catalog.service("py-web")[1]
    assert instance["ServicePort"] == 80, instance
    assert client.agent.service.deregister("py-1")
    assert client.catalog.service("py-web")[1] == []


def events_and_facts(client: consul.Consul) -> None:
    fired = client.event.fire("py-event", body="hello")
    assert fired["Name"] == "py-event", fired
    assert client.status.leader() in client.status.peers()
    assert len(client.agent.members()) == 1
    assert client.catalog.datacenters() == ["dc1"]
    name = client.agent.self()["Config"]["NodeName"]
    assert name in [node["Node"] for node in client.catalog.nodes()[1]]


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    client, other = (consul.Consul(host=host, port=port) for _ in range(2))
    for check in (keys, sessions, locks, transactions, services, events_and_facts):
        check(client)
        print(f"{check.__name__}: holds")
    waiting(client, other)
    print("waiting: holds")


if __name__ == "__main__":
    main()
