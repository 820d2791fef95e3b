"""Consul's member tags: what a server says about itself by gossip, and how a member is recognised as one.

Rules: design/gossip.md, "Tags".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pyconsul.codec.duration import SECOND, format_duration
from pyconsul.net.dial import join_host_port
from pyconsul.version import BUILD_TAG

_BUILD = re.compile(r"\d+\.\d+\.\d+")


class ServerInfo(msgspec.Struct, frozen=True):
    """A member that is a server. ``status`` is the gossip status (1 alive, 2 leaving, 3 left, 4 failed)."""

    name: str
    id: str
    datacenter: str
    host: str
    port: int
    expect: int
    bootstrap: bool
    read_replica: bool
    raft_version: str
    build: str
    status: int

    @property
    def rpc_address(self) -> str:
        return join_host_port(self.host, self.port)


def server_tags(
    node_id: str, datacenter: str, rpc_port: int, bootstrap: bool, expect: int, wan_join_port: int | None
) -> dict[str, str]:
    """The tags of a server. ``expect`` 0: none announced."""
    tags = {
        "role": "consul",
        "dc": datacenter,
        "segment": "",
        "id": node_id,
        "vsn": "2",
        "vsn_min": "2",
        "vsn_max": "3",
        "build": BUILD_TAG,
        "acls": "0",
        "raft_vsn": "3",
        "port": str(rpc_port),
        "ft_fs": "1",
        "ft_si": "1",
        "ap": "default",
    }
    if wan_join_port is not None:
        tags["wan_join_port"] = str(wan_join_port)
    if bootstrap:
        tags["bootstrap"] = "1"
    if expect > 0:
        tags["expect"] = str(expect)
    return tags


def client_tags(node_id: str, datacenter: str, reconnect_seconds: float = 0.0) -> dict[str, str]:
    """The tags of a client. ``reconnect_seconds``: how long others remember it when it failed, 0 as they like."""
    tags = {
        "role": "node",
        "dc": datacenter,
        "segment": "",
        "id": node_id,
        "vsn": "2",
        "vsn_min": "2",
        "vsn_max": "3",
        "build": BUILD_TAG,
        "acls": "0",
        "ap": "default",
    }
    if reconnect_seconds > 0:
        tags["rc_tm"] = format_duration(int(reconnect_seconds * SECOND))
    return tags


def parse_server(name: str, host: str, status: int, tags: Mapping[str, str]) -> ServerInfo | None:
    """The server behind a member; None when it is none or its tags cannot be read (it is then treated as none)."""
    if tags.get("role") != "consul":
        return None
    build = tags.get("build", "")
    if not _BUILD.match(build):
        return None
    try:
        port = int(tags["port"])
        int(tags["vsn"])
        expect = int(tags.get("expect", "0"))
        for key in ("wan_join_port", "raft_vsn", *(key for key in tags if key.startswith("ft_"))):
            int(tags.get(key, "0"))
    except (KeyError, ValueError):
        return None
    return ServerInfo(
        name=name,
        id=tags.get("id", ""),
        datacenter=tags.get("dc", ""),
        host=host,
        port=port,
        expect=expect,
        bootstrap="bootstrap" in tags,
        read_replica="read_replica" in tags or "nonvoter" in tags,
        raft_version=tags.get("raft_vsn", "0"),
        build=build.partition(":")[0],
        status=status,
    )
