// Members of the cluster: what gossip says of them, what they run, and what they hold.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { leader } from "../cluster";
import { useChanged } from "../changed";
import { Facets, NothingFound, STATUSES, passes, searchText } from "../facets";
import { matcher } from "../filter";
import { plural } from "../format";
import { useLive } from "../live";
import { type Member, isServer, statusWord, useMembers, useRaft, versionOf } from "../members";
import { paths } from "../paths";
import { location_ } from "../router";
import { type Session, useSessions } from "../sessions";
import { type Column, DataTable, compareText } from "../table";
import { Badge, CopyButton, Empty, Facts, FilterBox, Link, Notice, PageHead, StatusOf, Tabs, Waiting } from "../ui";
import type { Check } from "./overview";
import { CheckList } from "./services";
import { SessionTable } from "./sessions";

interface CatalogNode {
  ID: string;
  Node: string;
  Address: string;
  Meta: Record<string, string> | null;
}

interface Coordinate {
  Node: string;
  Coord: { Vec: number[]; Error: number; Adjustment: number; Height: number };
}

interface Row {
  name: string;
  address: string;
  id: string;
  member?: Member;
  meta: Record<string, string>;
  leads: boolean;
  voter: boolean;
  health: string;
  sessions: number;
  rtt: number | null;
}

const RANK: Record<string, number> = { critical: 0, warning: 1, passing: 2 };

/** The worst status of some checks; "" without any. */
export function worst(checks: { Status: string }[]): string {
  return checks.reduce((found, { Status }) => (found === "" || (RANK[Status] ?? 3) < (RANK[found] ?? 3) ? Status : found), "");
}

/** Estimated time (ms) of a way there and back between two coordinates. */
export function roundTrip(a: Coordinate["Coord"], b: Coordinate["Coord"]): number {
  const squares = a.Vec.reduce((sum, value, at) => sum + (value - b.Vec[at]) ** 2, 0);
  const distance = Math.sqrt(squares) + a.Height + b.Height;
  const adjusted = distance + a.Adjustment + b.Adjustment;
  return (adjusted > 0 ? adjusted : distance) * 1000;
}

const POLL_MS = 5000;

function useCoordinates(): Coordinate[] {
  return useLive<Coordinate[]>("coordinate/nodes", { every: POLL_MS }).data.value ?? [];
}

function between(coordinates: Coordinate[], a: string, b: string): number | null {
  const from = coordinates.find(({ Node }) => Node === a);
  const to = coordinates.find(({ Node }) => Node === b);
  return from && to && from !== to ? roundTrip(from.Coord, to.Coord) : null;
}

function useRows(): { rows: Row[]; loaded: boolean; complete: boolean; error: Error | null } {
  const members = useMembers();
  const raft = useRaft();
  const nodes = useLive<CatalogNode[]>("catalog/nodes");
  const checks = useLive<Check[]>("health/state/any");
  const sessions = useSessions();
  const coordinates = useCoordinates();
  const self = members.data.value?.find(({ Addr }) => Addr === window.location.hostname)?.Name ?? "";
  const rows = useMemo(() => {
    const names = new Set([...(nodes.data.value ?? []).map(({ Node }) => Node), ...(members.data.value ?? []).map(({ Name }) => Name)]);
    return [...names].sort().map((name): Row => {
      const node = nodes.data.value?.find(({ Node }) => Node === name);
      const member = members.data.value?.find(({ Name }) => Name === name);
      const server = raft.data.value?.Servers.find(({ ID, Node }) => (member?.Tags.id ? ID === member.Tags.id : Node === name));
      return {
        name,
        address: node?.Address ?? member?.Addr ?? "",
        id: node?.ID ?? member?.Tags.id ?? "",
        member,
        meta: node?.Meta ?? {},
        leads: Boolean(leader.value) && Boolean(server?.Leader),
        voter: server?.Voter ?? false,
        health: worst((checks.data.value ?? []).filter(({ Node }) => Node === name)),
        sessions: (sessions.data.value ?? []).filter(({ Node }) => Node === name).length,
        rtt: between(coordinates, self, name),
      };
    });
  }, [nodes.data.value, members.data.value, raft.data.value, checks.data.value, sessions.data.value, coordinates, leader.value, self]);
  const loaded = members.at.value > 0 && nodes.at.value > 0;
  const complete = loaded && raft.at.value > 0 && checks.at.value > 0 && leader.value !== null;
  return { rows, loaded, complete, error: nodes.error.value ?? members.error.value };
}

export function NodesPage({ dc }: { dc: string }): JSX.Element {
  const { rows, loaded, complete, error } = useRows();
  const query = location_.value.query;
  const filter = query.get("filter") ?? "";
  const match = matcher(filter, ["node", "status", "address"]);
  const shown = rows.filter(
    (row) =>
      passes("status", row.health || "empty") &&
      match({
        text: searchText({ Node: [row.name], Address: [row.address], Meta: Object.entries(row.meta).flat() }),
        fields: {
          node: [row.name], address: [row.address], status: [row.health, row.member ? statusWord(row.member) : ""],
          ...Object.fromEntries(Object.entries(row.meta).map(([name, value]) => [`meta.${name}`, [value]])),
        },
      }),
  );
  const changed = useChanged(complete ? rows : undefined, ({ name }) => name, (row) => [row.health, row.member ? statusWord(row.member) : "", row.leads, row.voter].join(" "));
  const columns: Column<Row>[] = [
    {
      id: "Node", title: "Node", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(a.name, b.name),
      render: ({ name, leads }) => (
        <span class="marks"><Link class="row-link" data-row to={paths.node(dc, name)}>{name}</Link>{leads && <Badge kind="accent">Leader</Badge>}</span>
      ),
    },
    { id: "Member", title: "Member", width: "7rem", render: ({ member }) => (member ? <StatusOf word={statusWord(member)} /> : <span class="hint">not a member</span>) },
    { id: "Status", title: "Checks", width: "7.5rem", sort: (a, b) => (RANK[a.health] ?? 3) - (RANK[b.health] ?? 3), render: ({ health }) => (health ? <StatusOf word={health} /> : <span class="hint">none</span>) },
    { id: "role", title: "Role", width: "9.5rem", render: ({ member, voter }) => (member && isServer(member) ? (voter ? "server, votes" : "server") : member ? "client" : "registered by hand") },
    { id: "address", title: "Address", width: "minmax(9.5rem, 1.4fr)", render: ({ address }) => <span class="with-copy">{address} <CopyButton text={address} what={`the address ${address}`} /></span> },
    { id: "version", title: "Version", width: "9rem", wideOnly: true, render: ({ member }) => (member ? versionOf(member) : "") },
    { id: "sessions", title: "Sessions", width: "5.5rem", numeric: true, sort: (a, b) => a.sessions - b.sessions, render: ({ sessions }) => String(sessions) },
  ];
  if (rows.some(({ rtt }) => rtt !== null)) {
    columns.push({ id: "rtt", title: "Round trip", width: "6.5rem", numeric: true, wideOnly: true, sort: (a, b) => (a.rtt ?? 0) - (b.rtt ?? 0), render: ({ rtt }) => (rtt === null ? "" : `${rtt.toFixed(2)} ms`) });
  }
  return (
    <>
      <PageHead title="Nodes" count={loaded ? plural(rows.length, "node") : undefined} />
      <div class="toolbar">
        <FilterBox label="Filter nodes" shown={shown.length} total={rows.length} />
        <Facets facets={[{ name: "status", title: "Status", values: [...STATUSES, "empty"] }]} properties={["Node", "Address", "Meta"]} />
      </div>
      {!loaded ? <Waiting what="the nodes" error={error} /> : shown.length === 0 ? <NothingFound what="nodes" /> : (
        <DataTable label="Nodes" columns={columns} rows={shown} rowKey={({ name }) => name} defaultSort="Status:asc" changed={changed} />
      )}
    </>
  );
}

export function NodePage({ dc, name, tab }: { dc: string; name: string; tab: string }): JSX.Element {
  const { rows, loaded, error } = useRows();
  const sessions = useSessions();
  const checks = useLive<Check[]>("health/state/any").data.value ?? [];
  const coordinates = useCoordinates();
  const row = rows.find((each) => each.name === name);
  const own = checks.filter(({ Node }) => Node === name);
  const held = (sessions.data.value ?? []).filter(({ Node }) => Node === name);
  const trips = coordinates
    .filter(({ Node }) => Node !== name)
    .map(({ Node }) => ({ node: Node, ms: between(coordinates, name, Node) }))
    .filter((each): each is { node: string; ms: number } => each.ms !== null)
    .sort((a, b) => a.ms - b.ms);
  const tabs = [
    { id: "health-checks", title: `Health checks (${own.length})` },
    { id: "service-instances", title: "Services" },
    ...(trips.length > 0 || tab === "round-trip-time" ? [{ id: "round-trip-time", title: "Round-trip times" }] : []),
    { id: "lock-sessions", title: `Sessions (${held.length})` },
    { id: "metadata", title: "Metadata" },
  ].map((each) => ({ ...each, to: paths.node(dc, name, each.id) }));
  return (
    <>
      <PageHead
        title={name}
        above={<nav class="crumbs" aria-label="Path"><ol><li><Link to={paths.nodes(dc)}>Nodes</Link></li><li><span>{name}</span></li></ol></nav>}
        heading={<>{name} {row?.leads && <Badge kind="accent">Leader</Badge>}</>}
      />
      {!loaded && !row ? <Waiting what="this node" error={error} /> : !row ? (
        <Notice level="warn" title="There is no such node (any more)." />
      ) : (
        <>
          <Facts
            facts={[
              ["Address", <>{row.address} <CopyButton text={row.address} what="the address" /></>],
              ["Member", row.member ? <StatusOf word={statusWord(row.member)} /> : "not a member"],
              ["Role", row.member && isServer(row.member) ? (row.voter ? "server, votes" : "server, does not vote") : row.member ? "client" : "registered by hand"],
              ["Version", row.member ? versionOf(row.member) : "–"],
              ["ID", row.id ? <><code class="break">{row.id}</code> <CopyButton text={row.id} what="the node's id" /></> : "–"],
            ]}
          />
          <Tabs tabs={tabs} current={tab} />
          {tab === "health-checks" && (own.length > 0 ? <CheckList checks={own} filtered /> : <Empty title="This node has no checks" />)}
          {tab === "service-instances" && <NodeServices dc={dc} name={name} />}
          {tab === "round-trip-time" && <RoundTrips dc={dc} trips={trips} />}
          {tab === "lock-sessions" && <NodeSessions dc={dc} sessions={held} readAt={sessions.at.value} refresh={sessions.refresh} />}
          {tab === "metadata" && <Metadata row={row} />}
        </>
      )}
    </>
  );
}

interface NodeService {
  ID: string;
  Service: string;
  Tags: string[] | null;
  Address: string;
  Port: number;
}

function NodeServices({ dc, name }: { dc: string; name: string }): JSX.Element {
  const live = useLive<{ Services: Record<string, NodeService> } | null>(`catalog/node/${encodeURIComponent(name)}`, { every: POLL_MS });
  const services = Object.values(live.data.value?.Services ?? {});
  if (live.at.value === 0) return <Waiting what="services" error={live.error.value} />;
  if (services.length === 0) return <Empty title="No service is registered on this node" />;
  const columns: Column<NodeService>[] = [
    { id: "name", title: "Service", main: true, render: ({ Service, ID }) => <Link class="row-link" data-row to={paths.instance(dc, Service, name, ID)}>{Service}</Link>, sort: (a, b) => compareText(a.Service, b.Service) },
    { id: "id", title: "ID", render: ({ ID }) => ID },
    { id: "port", title: "Port", width: "5rem", numeric: true, render: ({ Port }) => (Port ? String(Port) : "") },
    { id: "tags", title: "Tags", render: ({ Tags }) => <span class="marks">{(Tags ?? []).map((tag) => <Badge key={tag}>{tag}</Badge>)}</span> },
  ];
  return <DataTable label={`Services on ${name}`} columns={columns} rows={services} rowKey={({ ID }) => ID} defaultSort="name:asc" />;
}

function RoundTrips({ dc, trips }: { dc: string; trips: { node: string; ms: number }[] }): JSX.Element {
  if (trips.length === 0) return <Empty title="There are no coordinates of other nodes yet" />;
  const most = Math.max(...trips.map(({ ms }) => ms));
  const middle = trips[Math.floor(trips.length / 2)].ms;
  return (
    <>
      <p>Fastest {trips[0].ms.toFixed(2)} ms, median {middle.toFixed(2)} ms, slowest {most.toFixed(2)} ms. Estimated from network coordinates.</p>
      <DataTable
        label="Round-trip times"
        rows={trips}
        rowKey={({ node }) => node}
        defaultSort="ms:asc"
        columns={[
          { id: "node", title: "Node", main: true, sort: (a, b) => compareText(a.node, b.node), render: ({ node }) => <Link class="row-link" data-row to={paths.node(dc, node)}>{node}</Link> },
          { id: "ms", title: "Time", width: "7rem", numeric: true, sort: (a, b) => a.ms - b.ms, render: ({ ms }) => `${ms.toFixed(2)} ms` },
          { id: "bar", title: "Compared", width: "minmax(0, 2fr)", wideOnly: true, render: ({ ms }) => <span class="bar" style={{ width: `${Math.max(2, (100 * ms) / most)}%` }} /> },
        ]}
      />
    </>
  );
}

function NodeSessions({ dc, sessions, readAt, refresh }: { dc: string; sessions: Session[]; readAt: number; refresh: () => void }): JSX.Element {
  if (sessions.length === 0) return <Empty title="No session belongs to this node" />;
  return <SessionTable dc={dc} sessions={sessions} readAt={readAt} refresh={refresh} />;
}

function Metadata({ row }: { row: Row }): JSX.Element {
  const facts = [...Object.entries(row.meta), ...Object.entries(row.member?.Tags ?? {}).map(([name, value]) => [`tag ${name}`, value])].filter(([, value]) => value !== "");
  return facts.length === 0 ? <Empty title="There is no metadata" /> : <Facts facts={facts as [string, string][]} />;
}

