"""What the clusters of these tests hold."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyconsul.testing.processes import AgentProcess, Cluster

LOCK_FLAGS = 3304740253564472344
ENGINES = ("192.168.10.80:2375", "192.168.10.81:2375", "192.168.10.82:2375")
NETWORK = "7335e17a982ea14a526b0fc2daf99bfb81bb55081e9a91b4b6254f70e7f598b5"
DOCKER_KEYS = json.loads((Path(__file__).parent / "data" / "docker_keys.json").read_text())
DN = "docker/network/v1.0/"
BATCH = 64


def call(agent: AgentProcess, method: str, path: str, body: bytes = b"") -> Any:
    """The decoded answer. Raises AssertionError unless it is 200."""
    answer = agent.request(method, path, body)
    assert answer.status == 200, f"{method} {path}: {answer}"
    return json.loads(answer.body) if answer.body else None


def put(agent: AgentProcess, key: str, value: bytes, query: str = "") -> None:
    """Writes a key, whatever its name."""
    if "//" in key or key.startswith("/"):
        text = base64.b64encode(value).decode()
        put_many(agent, [{"Verb": "set", "Key": key, "Value": text}])
        return
    assert call(agent, "PUT", f"/v1/kv/{quote(key)}{query}", value) is True


def put_many(agent: AgentProcess, operations: list[dict[str, Any]]) -> None:
    for at in range(0, len(operations), BATCH):
        body = json.dumps([{"KV": each} for each in operations[at : at + BATCH]]).encode()
        call(agent, "PUT", "/v1/txn", body)


def get(agent: AgentProcess, key: str) -> dict[str, Any] | None:
    """The entry of a key, its value as bytes."""
    listed = "" if key.startswith("/") else quote(key.split("//")[0])
    for entry in call_or_none(agent, f"/v1/kv/{listed}?recurse") or []:
        if entry["Key"] == key:
            entry["Value"] = base64.b64decode(entry["Value"] or "")
            return dict(entry)
    return None


def call_or_none(agent: AgentProcess, path: str) -> Any:
    answer = agent.request("GET", path)
    return json.loads(answer.body) if answer.status == 200 else None


def session(agent: AgentProcess, ttl: str = "1h", behavior: str = "delete", name: str = "") -> str:
    body = json.dumps({"TTL": ttl, "Behavior": behavior, "LockDelay": "1ms", "Name": name}).encode()
    return str(call(agent, "PUT", "/v1/session/create", body)["ID"])


def register_engine(agent: AgentProcess, address: str, ttl: str = "1h") -> str:
    """What an engine does when it starts; returns the session."""
    held_by = session(agent, ttl)
    key = f"docker/nodes/{address}"
    put(agent, key, address.encode(), f"?flags={LOCK_FLAGS}&acquire={held_by}")
    return held_by


def seed_docker(cluster: Cluster) -> None:
    for agent, address in zip(cluster.agents, ENGINES, strict=True):
        register_engine(agent, address)
    put_many(
        cluster.agents[0],
        [{"Verb": "set", "Key": i["key"], "Value": i["value"], "Flags": i["flags"]} for i in DOCKER_KEYS],
    )


def png(width: int, height: int) -> bytes:
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


HOSTILE = b"<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
EXAMPLES: dict[str, bytes] = {
    "app/config.json": b'{"name":"shop","replicas":3,"on":[true,null,1.5e3],"big":12345678901234567890}',
    "app/motd": b"Hello\nworld\n",
    "app/binary": bytes(range(256)),
    "app/logo.png": png(160, 90),
    "app/empty": b"",
    "app/windows": b"one\r\ntwo\ttab\r\n",
    "app/<script>window.hacked = 1<\\script>": HOSTILE,
    "app/sub/deep/needle": b"a haystack with a pin",
    "odd/create": b"1",
    "odd/edit": b"2",
    "odd/a/edit": b"3",
    "odd/50% ünï?#": b"4",
    "odd/a//b": b"5",
    "/leading": b"6",
    "odd/folder/": b"a folder's own value",
    "app.other": b"a sibling with the same start",
}


def seed_examples(agent: AgentProcess) -> None:
    for key, value in EXAMPLES.items():
        put(agent, key, value)
    held = session(agent, behavior="release", name="a named lock")
    put(agent, "locks/job", b"busy", f"?flags={LOCK_FLAGS}&acquire={held}")
    names = [f"many/key-{number:04}" for number in range(1000)]
    put_many(agent, [{"Verb": "set", "Key": name, "Value": ""} for name in names])
    register_service(agent, "web", "passing", ["v1", "blue"])
    register_service(agent, "db", "critical", ["primary"])
    register_service(agent, "cache", "warning", [])
    call(agent, "PUT", "/v1/event/fire/deploy", b"v1.2.3")


def register_service(agent: AgentProcess, service: str, status: str, tags: list[str]) -> None:
    check = {"CheckID": f"service:{service}", "Name": f"{service} answers", "Status": status, "ServiceID": service}
    body = {
        "Node": "outside",
        "Address": "10.1.1.1",
        "Service": {"Service": service, "ID": service, "Port": 80, "Tags": tags},
        "Check": {**check, "Output": "HTTP GET http://10.1.1.1: 200 OK\n" * 3},
    }
    call(agent, "PUT", "/v1/catalog/register", json.dumps(body).encode())
