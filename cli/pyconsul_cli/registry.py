"""All commands by name: where each is, and its line in the command list. Nothing is imported before it is used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyconsul_cli.command import Command

COMMANDS: dict[str, tuple[str, str]] = {
    "acl": ("unserved", "Not served: pyconsul has no access control lists"),
    "agent": ("agent", "Run an agent on this host"),
    "catalog datacenters": ("catalog", "List the known datacenters"),
    "catalog nodes": ("catalog", "List nodes, all or those of a service"),
    "catalog services": ("catalog", "List services, all or those of a node"),
    "cluster up": ("cluster", "Start a cluster of agents on this host and keep it running"),
    "config": ("unserved", "Not served: pyconsul has no configuration entries"),
    "connect": ("unserved", "Not served: pyconsul has no service mesh"),
    "debug": ("debug", "Collect facts about an agent for a bug report"),
    "debug wal": ("debug", "Show what the log in a data directory holds"),
    "event": ("event", "Send an event to the agents"),
    "exec": ("exec_", "Run a command on many nodes"),
    "force-leave": ("leave", "Tell the cluster that a failed node has left"),
    "info": ("info", "Show the agent's figures about itself"),
    "intention": ("unserved", "Not served: pyconsul has no intentions"),
    "join": ("join", "Make the agent join a cluster"),
    "keygen": ("keygen", "Make a new key for gossip encryption"),
    "keyring": ("keyring", "List and change the keys of gossip encryption"),
    "kv delete": ("kv_delete", "Delete a key, or all keys below a prefix"),
    "kv export": ("kv_transfer", "Print a tree of keys as JSON"),
    "kv get": ("kv_get", "Print the value of a key, or many"),
    "kv import": ("kv_transfer", "Write the keys of an export"),
    "kv put": ("kv_put", "Write a key"),
    "leave": ("leave", "Make the agent leave the cluster and stop"),
    "lock": ("lock", "Run a command while holding a lock"),
    "login": ("unserved", "Not served: pyconsul has no access control lists"),
    "logout": ("unserved", "Not served: pyconsul has no access control lists"),
    "maint": ("maint", "Switch maintenance of the node or a service on and off"),
    "members": ("members", "List the members of the cluster"),
    "monitor": ("monitor", "Show the agent's log as it is written"),
    "operator autopilot get-config": ("autopilot", "Show the settings of autopilot"),
    "operator autopilot set-config": ("autopilot", "Change the settings of autopilot"),
    "operator autopilot state": ("autopilot", "Show how healthy autopilot finds the servers"),
    "operator raft list-peers": ("operator_raft", "List the servers that replicate the state"),
    "operator raft remove-peer": ("operator_raft", "Take a dead server out of the replication"),
    "operator raft transfer-leader": ("operator_raft", "Hand the leadership to another server"),
    "operator usage instances": ("operator_usage", "Count services and their instances"),
    "reload": ("reload", "Make the agent read its configuration again"),
    "rtt": ("rtt", "Estimate the round-trip time between two nodes"),
    "services deregister": ("services", "Take a service off the agent"),
    "services register": ("services", "Put a service on the agent"),
    "snapshot inspect": ("snapshot", "Show what a snapshot file holds"),
    "snapshot restore": ("snapshot", "Replace the servers' state by that of a snapshot file"),
    "snapshot save": ("snapshot", "Save the servers' state to a file"),
    "tls ca create": ("tls_ca", "Make a certificate authority"),
    "tls cert create": ("tls_cert", "Make a certificate for an agent or the command line"),
    "validate": ("validate", "Check configuration files"),
    "version": ("version", "Show the version"),
    "watch": ("watch", "Show a piece of the state, or run a command at each change of it"),
}
"""Module below ``pyconsul_cli.commands``, and the purpose in one line."""

GROUPS: dict[str, tuple[str, str]] = {
    "catalog": (
        "Look into the catalog of nodes and services",
        "Lists what the servers know about nodes, services and datacenters.",
    ),
    "cluster": (
        "Run a cluster on this host",
        "Runs several agents on this host as one cluster, to try things out.",
    ),
    "kv": (
        "Read and write keys",
        "Reads, writes, deletes, exports and imports keys of the replicated key-value store.",
    ),
    "operator": (
        "Tools for those who run a cluster",
        "Shows and changes how the servers work together. Some of these commands can lose data when used wrongly.",
    ),
    "operator autopilot": (
        "Look into and set up autopilot",
        "Autopilot watches the servers' health, makes voters of new ones and removes dead ones.",
    ),
    "operator raft": (
        "Look into and repair the replication",
        "Shows and changes the set of servers that replicate the state by Raft.",
    ),
    "operator usage": ("Count what a cluster holds", "Counts services and their instances."),
    "services": ("Put services on the agent, or take them off", "Registers and deregisters services at the agent."),
    "snapshot": (
        "Save and restore the servers' state",
        "Saves the replicated state to a file, shows what such a file holds, and restores it.",
    ),
    "tls": ("Make certificates", "Makes a certificate authority and certificates for agents and the command line."),
    "tls ca": ("Make a certificate authority", "Makes the authority that signs the certificates of a cluster."),
    "tls cert": ("Make certificates", "Makes certificates that are signed by the authority of a cluster."),
}
"""Purpose in one line, and the text of the help."""


def synopsis(name: str) -> str:
    return COMMANDS[name][1] if name in COMMANDS else GROUPS[name][0]


def load(name: str) -> Command:
    """The declaration of a command in COMMANDS; imports its module."""
    from importlib import import_module

    module = import_module(f"pyconsul_cli.commands.{COMMANDS[name][0]}")
    commands: dict[str, Command] = module.COMMANDS
    return commands[name]
