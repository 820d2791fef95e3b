"""``/v1/operator/…``."""

from __future__ import annotations

from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.server.backend import ReadMode


async def raft_configuration(api: Api, request: Request) -> Response:
    """The Raft peers. ``stale``: as this server knows them, also without a leader."""
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    peers, index = await api.consensus.raft_configuration(options.mode is ReadMode.STALE)
    servers = [
        {
            "ID": peer.id,
            "Node": peer.node,
            "Address": peer.address,
            "Leader": peer.leader,
            "ProtocolVersion": peer.protocol_version,
            "Voter": peer.voter,
            "LastIndex": peer.last_index,
        }
        for peer in peers
    ]
    return json_response({"Servers": servers, "Index": index})
