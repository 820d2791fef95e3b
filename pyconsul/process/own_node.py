"""How an agent wants its own node to be registered in the catalog."""

from __future__ import annotations

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.records.catalog import Node


def node_meta(config: RuntimeConfig) -> dict[str, str]:
    """The configured metadata, and the network segment, of which this edition has one without a name."""
    return {"consul-network-segment": "", **config.node_meta}


def own_node(config: RuntimeConfig, node_id: str) -> Node:
    """The address is that of gossip, by which the leader registers the node."""
    addresses = config.addresses
    lan = addresses.serf_lan_advertise
    host = lan.host if lan is not None else addresses.advertise
    return Node(node_id, config.node_name, host, config.datacenter, dict(addresses.tagged), node_meta(config))
