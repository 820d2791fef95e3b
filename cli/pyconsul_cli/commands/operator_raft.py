"""``pyconsul operator raft …``."""

from __future__ import annotations

from pyconsul.codec.go_flags import STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, CommandError, Context, failing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPEAT = "Failed to parse args: {}"
CONNECT_ERROR = "Error initializing client"

HEADER = ("Node", "ID", "Address", "State", "Voter", "RaftProtocol", "Commit Index", "Trails Leader By")


def list_peers(context: Context) -> int:
    as_json = context.wants_json()
    client = context.client()
    with failing("Error getting peers: Failed to retrieve raft configuration"):
        servers = client.get("/v1/operator/raft/configuration").json_object().get("Servers") or []
    if as_json:
        from pyconsul_cli.output import to_json

        context.out(to_json(servers))
        return 0
    leader_index = max((_index(server) for server in servers if server.get("Leader")), default=0)
    context.table([HEADER, *(_row(server, leader_index) for server in servers)])
    return 0


def _index(server: dict[str, Any]) -> int:
    index = server.get("LastIndex", 0)
    return index if isinstance(index, int) else 0


def _row(server: dict[str, Any], leader_index: int) -> tuple[str, ...]:
    index = _index(server)
    behind = leader_index - index
    trails = "-" if server.get("Leader") else f"{behind} {'commit' if behind == 1 else 'commits'}"
    return (
        str(server.get("Node", "")),
        str(server.get("ID", "")),
        str(server.get("Address", "")),
        "leader" if server.get("Leader") else "follower",
        "true" if server.get("Voter") else "false",
        str(server.get("ProtocolVersion", "")) or "<=1",
        str(index),
        trails,
    )


def remove_peer(context: Context) -> int:
    address, identity = context.flags.string("address"), context.flags.string("id")
    if not address and not identity:
        raise CommandError("Error removing peer: an address or id is required for the peer to remove")
    if address and identity:
        raise CommandError("Error removing peer: cannot give both an address and id")
    client = context.client()
    with failing("Error removing peer"):
        client.delete("/v1/operator/raft/peer", [("address", address) if address else ("id", identity)])
    context.out(f'Removed peer with address "{address}"' if address else f'Removed peer with id "{identity}"')
    return 0


def transfer_leader(context: Context) -> int:
    identity = context.flags.string("id")
    client = context.client()
    with failing("Error transferring leadership"):
        client.request("POST", "/v1/operator/raft/transfer-leader", [("id", identity)] if identity else []).expect_ok()
    context.out("Success")
    return 0


COMMANDS = {
    "operator raft list-peers": Command(
        "operator raft list-peers",
        list_peers,
        sets="CS",
        flags=(FORMAT_FLAG,),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Lists the servers that replicate the state, who leads, who votes, and how far each lags behind.",
        examples=("operator raft list-peers",),
    ),
    "operator raft remove-peer": Command(
        "operator raft remove-peer",
        remove_peer,
        sets="CS",
        flags=(
            Flag("address", STRING, "The server's host:port.", value_name="address"),
            Flag("id", STRING, "The server's id."),
        ),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Takes a server out of the replication. For one that is gone for good; one that lives comes back.",
        examples=("operator raft remove-peer -address=192.168.10.82:8300",),
    ),
    "operator raft transfer-leader": Command(
        "operator raft transfer-leader",
        transfer_leader,
        sets="CS",
        flags=(Flag("id", STRING, "The server that shall lead; without it the leader chooses."),),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Hands the leadership to another server, for example before the leader's host is switched off.",
        examples=("operator raft transfer-leader",),
    ),
}
