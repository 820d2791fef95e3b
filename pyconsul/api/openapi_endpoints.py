"""What each endpoint is for, what it takes and what it answers: the material of the OpenAPI description."""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


def map_of(item: Schema) -> Schema:
    return {"type": "object", "additionalProperties": item}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}
DONE: Schema = {"type": "boolean", "description": "false: a condition did not hold and nothing was changed"}

READ = "dc stale consistent max_stale"
WAIT = f"{READ} index wait"
SELECT = f"{WAIT} node-meta"


class Endpoint(NamedTuple):
    """``argument``: the name of what follows the path. ``query``: names of parameters, divided by blanks.

    ``answer``: None for an empty body. ``body``: the schema of a JSON body; "bytes" for one that is taken as it is.
    ``others``: further statuses that are no errors of the caller. ``text``: the answer may be plain text.
    """

    tag: str
    summary: str
    argument: str = ""
    query: str = ""
    answer: Schema | None = None
    body: Schema | str | None = None
    others: dict[int, str] | None = None
    text: bool = False


_NO_KEY = {404: "There is no such key"}
_KV_QUERY = "flags cas acquire release"
_SERVICE = "Services of the agent"
_CHECK = "Checks of the agent"
_HEALTH_CODES = {
    404: "The agent has no such service",
    429: "The worst check is warning",
    503: "The worst check is critical, or service or node are in maintenance",
}

ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("GET", "/v1/kv/"): Endpoint(
        "Keys",
        "Reads a key, the keys with a prefix, or their names",
        "key",
        f"recurse keys separator raw {WAIT}",
        {"oneOf": [list_of(ref("Entry")), list_of(TEXT)]},
        others=_NO_KEY,
        text=True,
    ),
    ("PUT", "/v1/kv/"): Endpoint("Keys", "Writes a key", "key", f"{_KV_QUERY} dc", DONE, "bytes"),
    ("DELETE", "/v1/kv/"): Endpoint("Keys", "Removes a key, or all with a prefix", "key", "recurse cas dc", DONE),
    ("PUT", "/v1/txn"): Endpoint(
        "Transactions",
        "Carries out up to 64 operations, all or nothing",
        "",
        READ,
        ref("TxnAnswer"),
        list_of(ANY_OBJECT),
        {409: "An operation failed, nothing was changed; the body tells which and why"},
    ),
    ("PUT", "/v1/session/create"): Endpoint(
        "Sessions", "Creates a session", "", "dc", {"type": "object", "properties": {"ID": TEXT}}, ref("NewSession")
    ),
    ("PUT", "/v1/session/destroy/"): Endpoint("Sessions", "Ends a session", "id", "dc", DONE),
    ("PUT", "/v1/session/renew/"): Endpoint(
        "Sessions",
        "Starts the TTL of a session again",
        "id",
        READ,
        list_of(ref("Session")),
        others={404: "There is no such session"},
    ),
    ("GET", "/v1/session/info/"): Endpoint(
        "Sessions", "Reads a session; an empty list when there is none", "id", WAIT, list_of(ref("Session"))
    ),
    ("GET", "/v1/session/node/"): Endpoint(
        "Sessions", "Lists the sessions of a node", "node", WAIT, list_of(ref("Session"))
    ),
    ("GET", "/v1/session/list"): Endpoint("Sessions", "Lists all sessions", "", WAIT, list_of(ref("Session"))),
    ("GET", "/v1/internal/ui/sessions"): Endpoint(
        "Sessions",
        "Lists all sessions with held keys and remaining time, for the web page",
        "",
        READ,
        list_of(ANY_OBJECT),
    ),
    ("POST", "/v1/internal/acl/authorize"): Endpoint(
        "Agent", "What the token may do, as the web page asks; refused while ACLs are off", others={401: "ACLs are off"}
    ),
    ("PUT", "/v1/event/fire/"): Endpoint(
        "Events", "Sends an event to all agents", "name", "node service tag dc", ref("Event"), "bytes"
    ),
    ("GET", "/v1/event/list"): Endpoint(
        "Events", "Lists the events that this agent keeps", "", "name index wait", list_of(ref("Event"))
    ),
    ("GET", "/v1/status/leader"): Endpoint(
        "Status", "The address of the leader, empty when none is known", "", READ, TEXT
    ),
    ("GET", "/v1/status/peers"): Endpoint("Status", "The addresses of all Raft peers", "", READ, list_of(TEXT)),
    ("GET", "/v1/catalog/datacenters"): Endpoint("Catalog", "Lists the known datacenters", "", "", list_of(TEXT)),
    ("PUT", "/v1/catalog/register"): Endpoint(
        "Catalog", "Registers a node, a service on it, and checks", "", "", DONE, ref("Registration")
    ),
    ("PUT", "/v1/catalog/deregister"): Endpoint(
        "Catalog", "Removes a node, a service or a check", "", "", DONE, ref("Deregistration")
    ),
    ("GET", "/v1/catalog/nodes"): Endpoint("Catalog", "Lists the nodes", "", SELECT, list_of(ref("Node"))),
    ("GET", "/v1/catalog/node/"): Endpoint(
        "Catalog", "A node with its services; null when it is not there", "node", WAIT, or_null(ANY_OBJECT)
    ),
    ("GET", "/v1/catalog/services"): Endpoint(
        "Catalog", "The names of all services with their tags", "", SELECT, map_of(list_of(TEXT))
    ),
    ("GET", "/v1/catalog/service/"): Endpoint(
        "Catalog", "The instances of a service", "service", f"{SELECT} tag", list_of(ANY_OBJECT)
    ),
    ("GET", "/v1/health/node/"): Endpoint("Health", "The checks of a node", "node", SELECT, list_of(ref("Check"))),
    ("GET", "/v1/health/checks/"): Endpoint(
        "Health", "The checks of a service", "service", SELECT, list_of(ref("Check"))
    ),
    ("GET", "/v1/health/service/"): Endpoint(
        "Health",
        "The instances of a service with nodes and checks",
        "service",
        f"{SELECT} tag passing",
        list_of(ANY_OBJECT),
    ),
    ("GET", "/v1/health/state/"): Endpoint(
        "Health", "The checks in a state; any for all", "state", SELECT, list_of(ref("Check"))
    ),
    ("GET", "/v1/agent/self"): Endpoint(
        "Agent", "Configuration, member and statistics of this agent", "", "", ANY_OBJECT
    ),
    ("GET", "/v1/agent/members"): Endpoint(
        "Agent", "The members of the gossip pool", "", "wan segment", list_of(ANY_OBJECT)
    ),
    ("PUT", "/v1/agent/join/"): Endpoint("Agent", "Joins the pool of another agent", "address", "wan"),
    ("PUT", "/v1/agent/leave"): Endpoint("Agent", "Leaves the cluster; the process ends"),
    ("PUT", "/v1/agent/force-leave/"): Endpoint("Agent", "Takes a failed member for gone", "node", "prune"),
    ("PUT", "/v1/agent/reload"): Endpoint("Agent", "Reads the configuration again"),
    ("GET", "/v1/agent/host"): Endpoint("Agent", "Memory, processors and disk of this host", "", "", ANY_OBJECT),
    ("GET", "/v1/agent/metrics"): Endpoint(
        "Agent",
        "Numbers of the last interval",
        "",
        "format",
        ANY_OBJECT,
        others={415: "Another format is not switched on"},
        text=True,
    ),
    ("GET", "/v1/agent/monitor"): Endpoint(
        "Agent", "The log from now on, without an end", "", "loglevel logjson", TEXT
    ),
    ("PUT", "/v1/agent/maintenance"): Endpoint("Agent", "Takes the node out of use, or back", "", "enable reason"),
    ("PUT", "/v1/agent/token/"): Endpoint(
        "Agent", "Sets a token of the agent; refused while ACLs are off", "kind", others={401: "ACLs are off"}
    ),
    ("GET", "/v1/agent/connect/ca/roots"): Endpoint("Agent", "Refused: Connect is off", "", "", ANY_OBJECT),
    ("GET", "/v1/agent/connect/ca/leaf/"): Endpoint("Agent", "Refused: Connect is off", "service", "", ANY_OBJECT),
    ("GET", "/v1/agent/services"): Endpoint(_SERVICE, "The services of this agent", "", "", map_of(ANY_OBJECT)),
    ("GET", "/v1/agent/service/"): Endpoint(
        _SERVICE,
        "One service; waits while its hash is the given one",
        "id",
        "hash wait",
        ANY_OBJECT,
        others={404: "The agent has no such service"},
    ),
    ("PUT", "/v1/agent/service/register"): Endpoint(
        _SERVICE, "Adds or replaces a service", "", "replace-existing-checks", None, ref("NewService")
    ),
    ("PUT", "/v1/agent/service/deregister/"): Endpoint(_SERVICE, "Removes a service with its checks", "id"),
    ("PUT", "/v1/agent/service/maintenance/"): Endpoint(
        _SERVICE, "Takes a service out of use, or back", "id", "enable reason", others={404: "No such service"}
    ),
    ("GET", "/v1/agent/health/service/id/"): Endpoint(
        _SERVICE,
        "How a service is, told by the status code",
        "id",
        "format",
        ANY_OBJECT,
        others=_HEALTH_CODES,
        text=True,
    ),
    ("GET", "/v1/agent/health/service/name/"): Endpoint(
        _SERVICE,
        "How the worst instance of a name is",
        "service",
        "format",
        list_of(ANY_OBJECT),
        others=_HEALTH_CODES,
        text=True,
    ),
    ("GET", "/v1/agent/checks"): Endpoint(_CHECK, "The checks of this agent", "", "", map_of(ref("Check"))),
    ("PUT", "/v1/agent/check/register"): Endpoint(_CHECK, "Adds or replaces a check", "", "", None, ref("NewCheck")),
    ("PUT", "/v1/agent/check/deregister/"): Endpoint(_CHECK, "Removes a check", "id"),
    ("PUT", "/v1/agent/check/pass/"): Endpoint(_CHECK, "Sets a TTL check to passing", "id", "note"),
    ("PUT", "/v1/agent/check/warn/"): Endpoint(_CHECK, "Sets a TTL check to warning", "id", "note"),
    ("PUT", "/v1/agent/check/fail/"): Endpoint(_CHECK, "Sets a TTL check to critical", "id", "note"),
    ("PUT", "/v1/agent/check/update/"): Endpoint(
        _CHECK,
        "Sets status and output of a TTL check",
        "id",
        "",
        None,
        {"type": "object", "properties": {"Status": ref("Status"), "Output": TEXT}, "required": ["Status"]},
    ),
    ("GET", "/v1/coordinate/datacenters"): Endpoint(
        "Coordinates", "Where the servers of each datacenter are", "", "", list_of(ANY_OBJECT)
    ),
    ("GET", "/v1/coordinate/nodes"): Endpoint(
        "Coordinates", "Where all nodes are", "", f"{WAIT} segment", list_of(ref("NodeCoordinate"))
    ),
    ("GET", "/v1/coordinate/node/"): Endpoint(
        "Coordinates",
        "Where a node is",
        "node",
        f"{WAIT} segment",
        list_of(ref("NodeCoordinate")),
        others={404: "The node has no coordinate"},
    ),
    ("PUT", "/v1/coordinate/update"): Endpoint(
        "Coordinates", "Sets where a node is, within seconds", "", "dc", None, ref("NodeCoordinate")
    ),
    ("GET", "/v1/operator/keyring"): Endpoint(
        "Operator", "The keys of gossip encryption", "", "relay-factor local-only", list_of(ANY_OBJECT)
    ),
    ("POST", "/v1/operator/keyring"): Endpoint("Operator", "Installs a key", "", "relay-factor", None, ref("Key")),
    ("PUT", "/v1/operator/keyring"): Endpoint(
        "Operator", "Encrypts with an installed key from now on", "", "relay-factor", None, ref("Key")
    ),
    ("DELETE", "/v1/operator/keyring"): Endpoint("Operator", "Removes a key", "", "relay-factor", None, ref("Key")),
    ("GET", "/v1/operator/raft/configuration"): Endpoint("Operator", "The Raft peers", "", READ, ANY_OBJECT),
    ("DELETE", "/v1/operator/raft/peer"): Endpoint("Operator", "Removes a Raft peer", "", "id address dc"),
    ("PUT", "/v1/operator/raft/transfer-leader"): Endpoint("Operator", "Hands leadership on", "", "id dc", ANY_OBJECT),
    ("POST", "/v1/operator/raft/transfer-leader"): Endpoint("Operator", "Hands leadership on", "", "id dc", ANY_OBJECT),
    ("GET", "/v1/operator/autopilot/configuration"): Endpoint(
        "Operator", "Autopilot's configuration", "", READ, ANY_OBJECT
    ),
    ("PUT", "/v1/operator/autopilot/configuration"): Endpoint(
        "Operator", "Replaces autopilot's configuration", "", "cas dc", DONE, ANY_OBJECT
    ),
    ("GET", "/v1/operator/autopilot/health"): Endpoint(
        "Operator",
        "The health of the servers",
        "",
        READ,
        ANY_OBJECT,
        others={429: "A server is not healthy; the body is the same"},
    ),
    ("GET", "/v1/operator/autopilot/state"): Endpoint(
        "Operator", "Autopilot's view of the servers", "", READ, ANY_OBJECT
    ),
    ("GET", "/v1/operator/usage"): Endpoint("Operator", "Numbers of nodes, services and keys", "", READ, ANY_OBJECT),
    ("GET", "/v1/openapi.json"): Endpoint("Agent", "This description", "", "", ANY_OBJECT),
}

PARAMETERS: dict[str, tuple[Schema, str]] = {
    "acquire": (TEXT, "Take the lock of the key for this session"),
    "address": (TEXT, "host:port of the peer's RPC"),
    "cas": (NUMBER, "Only if the ModifyIndex is this one; 0: only if there is nothing"),
    "consistent": (FLAG, "The leader makes sure with a majority that it leads"),
    "dc": (TEXT, "Datacenter; empty for the own one"),
    "enable": (TEXT, "true or false"),
    "flags": (NUMBER, "A number that is kept with the key"),
    "format": (TEXT, "text: the status alone; prometheus"),
    "hash": (TEXT, "Wait while the content has this hash"),
    "id": (TEXT, "Id of a server"),
    "index": (NUMBER, "Answer when the index exceeds this one"),
    "keys": (FLAG, "Names only"),
    "local-only": (FLAG, "Only the LAN pool"),
    "logjson": (FLAG, "One JSON object for each line"),
    "loglevel": (TEXT, "trace, debug, info, warn or error"),
    "max_stale": (TEXT, "A duration; implies stale"),
    "name": (TEXT, "Only events of this name"),
    "node": (TEXT, "Regular expression for names of nodes"),
    "node-meta": (TEXT, "key:value that the node must have; may be given several times"),
    "note": (TEXT, "The output of the check"),
    "passing": (FLAG, "Only instances all of whose checks pass"),
    "prune": (FLAG, "Forget the member at once"),
    "raw": (FLAG, "The value itself as the body"),
    "reason": (TEXT, "Shown in the check's notes"),
    "recurse": (FLAG, "All keys that begin with the name"),
    "relay-factor": (NUMBER, "Answers come through so many other members too, 0 to 5"),
    "release": (TEXT, "Give the lock of the key back"),
    "replace-existing-checks": (FLAG, "Checks that are not named go"),
    "segment": (TEXT, "Only the default one is there"),
    "separator": (TEXT, "Cut names behind this text"),
    "service": (TEXT, "Regular expression for names of services"),
    "stale": (FLAG, "Whatever the asked server has"),
    "tag": (TEXT, "A tag that must be there; for events a regular expression"),
    "wait": (TEXT, "How long to wait at most, as a duration; 5m if not given, at most 10m"),
    "wan": (FLAG, "The pool over all datacenters"),
}

SCHEMAS: dict[str, Schema] = {
    "Status": {"type": "string", "enum": ["passing", "warning", "critical"]},
    "Key": {"type": "object", "properties": {"Key": {"type": "string", "contentEncoding": "base64"}}},
    "NodeCoordinate": {"type": "object", "properties": {"Node": TEXT, "Segment": TEXT, "Coord": ANY_OBJECT}},
    "Entry": {
        "type": "object",
        "properties": {
            "LockIndex": NUMBER,
            "Key": TEXT,
            "Flags": NUMBER,
            "Value": or_null({"type": "string", "contentEncoding": "base64"}),
            "Session": TEXT,
            "CreateIndex": NUMBER,
            "ModifyIndex": NUMBER,
        },
        "required": ["LockIndex", "Key", "Flags", "Value", "CreateIndex", "ModifyIndex"],
    },
    "TxnAnswer": {
        "type": "object",
        "properties": {
            "Results": or_null(list_of(ANY_OBJECT)),
            "Errors": or_null(list_of({"type": "object", "properties": {"OpIndex": NUMBER, "What": TEXT}})),
        },
        "required": ["Results", "Errors"],
    },
    "NewSession": {
        "type": "object",
        "properties": {
            "Name": TEXT,
            "Node": TEXT,
            "LockDelay": TEXT,
            "Behavior": {"type": "string", "enum": ["release", "delete", ""]},
            "TTL": TEXT,
            "NodeChecks": list_of(TEXT),
            "ServiceChecks": list_of({"type": "object", "properties": {"ID": TEXT, "Namespace": TEXT}}),
        },
    },
    "Session": {
        "type": "object",
        "properties": {
            "ID": TEXT,
            "Name": TEXT,
            "Node": TEXT,
            "LockDelay": NUMBER,
            "Behavior": TEXT,
            "TTL": TEXT,
            "NodeChecks": or_null(list_of(TEXT)),
            "ServiceChecks": or_null(list_of(ANY_OBJECT)),
            "CreateIndex": NUMBER,
            "ModifyIndex": NUMBER,
        },
        "required": ["ID", "Name", "Node", "LockDelay", "Behavior", "TTL", "CreateIndex", "ModifyIndex"],
    },
    "Event": {
        "type": "object",
        "properties": {
            "ID": TEXT,
            "Name": TEXT,
            "Payload": or_null(TEXT),
            "NodeFilter": TEXT,
            "ServiceFilter": TEXT,
            "TagFilter": TEXT,
            "Version": NUMBER,
            "LTime": NUMBER,
        },
        "required": ["ID", "Name", "Payload", "Version", "LTime"],
    },
    "Node": {
        "type": "object",
        "properties": {
            "ID": TEXT,
            "Node": TEXT,
            "Address": TEXT,
            "Datacenter": TEXT,
            "TaggedAddresses": or_null(map_of(TEXT)),
            "Meta": or_null(map_of(TEXT)),
            "CreateIndex": NUMBER,
            "ModifyIndex": NUMBER,
        },
        "required": ["ID", "Node", "Address", "Datacenter", "CreateIndex", "ModifyIndex"],
    },
    "Check": {
        "type": "object",
        "properties": dict.fromkeys(
            ("Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName", "Type"), TEXT
        )
        | {"ServiceTags": list_of(TEXT), "Definition": ANY_OBJECT, "CreateIndex": NUMBER, "ModifyIndex": NUMBER},
        "required": ["Node", "CheckID", "Name", "Status", "Output", "ServiceID"],
    },
    "Registration": {
        "type": "object",
        "properties": {
            "Node": TEXT,
            "Address": TEXT,
            "ID": TEXT,
            "Datacenter": TEXT,
            "TaggedAddresses": map_of(TEXT),
            "NodeMeta": map_of(TEXT),
            "Service": ANY_OBJECT,
            "Check": ANY_OBJECT,
            "Checks": list_of(ANY_OBJECT),
            "SkipNodeUpdate": FLAG,
        },
        "required": ["Node"],
    },
    "Deregistration": {
        "type": "object",
        "properties": {"Node": TEXT, "Datacenter": TEXT, "ServiceID": TEXT, "CheckID": TEXT},
        "required": ["Node"],
    },
    "NewService": {
        "type": "object",
        "properties": {
            "ID": TEXT,
            "Name": TEXT,
            "Tags": list_of(TEXT),
            "Meta": map_of(TEXT),
            "Address": TEXT,
            "Port": NUMBER,
            "EnableTagOverride": FLAG,
            "Weights": {"type": "object", "properties": {"Passing": NUMBER, "Warning": NUMBER}},
            "Check": ANY_OBJECT,
            "Checks": list_of(ANY_OBJECT),
        },
        "required": ["Name"],
    },
    "NewCheck": {
        "type": "object",
        "properties": {
            "ID": TEXT,
            "Name": TEXT,
            "Notes": TEXT,
            "Status": ref("Status"),
            "ServiceID": TEXT,
            "TTL": TEXT,
            "DeregisterCriticalServiceAfter": TEXT,
        },
        "required": ["Name"],
    },
}
