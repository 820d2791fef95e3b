// The Docker hosts and their overlay networks, read from the keys that the engines keep here.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { leader } from "../cluster";
import { type Docker, type Endpoint, type Engine, type Network, hostOf, useDocker } from "../docker";
import { useChanged } from "../changed";
import { followDocker } from "../feed";
import { matcher } from "../filter";
import { formatNumber, plural, shorten } from "../format";
import { type Member, useMembers } from "../members";
import { folderPath, keyPath, paths } from "../paths";
import { type Session, timeLeft, useSessions } from "../sessions";
import { type Column, DataTable, compareText } from "../table";
import { Badge, Button, CopyButton, Empty, Facts, FilterBox, Link, Notice, PageHead, Status, Waiting } from "../ui";
import { location_ } from "../router";
import { expectedCount } from "./overview";
import { ValueView } from "./kv-value";
import { fromText } from "../bytes";
import { unfold } from "../json";
import { BulkDialog, type Job, parentOf } from "./kv-bulk";

interface Context {
  dc: string;
  docker: Docker;
  sessions: Session[];
  readAt: number;
  members: Member[];
}

export function DockerPage({ dc, network, engine }: { dc: string; network?: string; engine?: string }): JSX.Element {
  const { docker, live } = useDocker();
  const sessions = useSessions();
  const members = useMembers();
  useEffect(() => {
    if (docker) followDocker(docker);
  }, [docker]);
  if (!docker) {
    return (
      <>
        <PageHead title="Docker" />
        <Waiting what="Docker's keys" error={live.error.value} />
      </>
    );
  }
  const context: Context = { dc, docker, sessions: sessions.data.value ?? [], readAt: sessions.at.value, members: members.data.value ?? [] };
  if (network !== undefined) return <NetworkPage {...context} wanted={network} />;
  if (engine !== undefined) return <EnginePage {...context} wanted={engine} />;
  return <DockerOverview {...context} />;
}

function sessionOf(engine: Engine, sessions: Session[]): Session | undefined {
  return sessions.find(({ ID }) => ID === engine.entry.Session);
}

function memberOf(host: string, members: Member[]): Member | undefined {
  return members.find(({ Addr }) => Addr === hostOf(host));
}

function onHost(docker: Docker, host: string): Endpoint[] {
  return docker.endpoints.filter((endpoint) => hostOf(endpoint.host) === host);
}

function DockerOverview(context: Context): JSX.Element {
  const { docker, sessions, readAt, members } = context;
  const filter = location_.value.query.get("filter") ?? "";
  const match = matcher(filter, ["network", "host", "address"]);
  const endpoints = docker.endpoints.filter((each) =>
    match({ text: [each.name, each.address, each.mac, each.network, each.host, each.id, ...each.aliases].join(" "), fields: { network: [each.network], host: [each.host], address: [each.address] } }),
  );
  const newEngines = useChanged(docker.engines, ({ address }) => address, ({ entry }) => entry.Session || "none");
  const newNetworks = useChanged(docker.networks, ({ id }) => id, ({ raw, counter, endpoints: own }) => `${raw} ${counter} ${own.length}`);
  const newEndpoints = useChanged(docker.endpoints, ({ key }) => key, ({ name, address, host }) => `${name} ${address} ${host}`);
  if (docker.empty) return <NoDocker members={members} />;
  const problems = problemsOf(context);
  return (
    <>
      <PageHead title="Docker" count={plural(docker.engines.length, "engine")} />
      {problems.length > 0 && (
        <section class="notice warn" aria-label="What is wrong">
          <div>
            <strong>{plural(problems.length, "thing")} to look at</strong>
            <ul class="plain-list" id="docker-problems">{problems.map((text) => <li key={text}>{text}</li>)}</ul>
          </div>
        </section>
      )}
      <h2>Engines</h2>
      {docker.engines.length === 0
        ? <Empty title="No engine is registered at the moment"><p>The networks below were made by engines that are gone.</p></Empty>
        : <DataTable label="Engines" columns={engineColumns(context)} rows={docker.engines} rowKey={({ address }) => address} sortParameter="engines" defaultSort="address:asc" changed={newEngines} />}
      <h2>Networks <span class="count">{docker.networks.length}</span></h2>
      {docker.networks.length === 0
        ? <Empty title="No overlay network yet"><p>Make one on any engine: <code>docker network create -d overlay my_net</code></p></Empty>
        : <DataTable label="Networks" columns={networkColumns(context)} rows={docker.networks} rowKey={({ id }) => id} sortParameter="networks" defaultSort="name:asc" changed={newNetworks} />}
      <h2>Endpoints <span class="count">{docker.endpoints.length}</span></h2>
      {docker.endpoints.length === 0 ? (
        <Empty title="No container is connected to an overlay network"><p>Connect one: <code>docker run --network my_net …</code></p></Empty>
      ) : (
        <>
          <FilterBox label="Filter endpoints" shown={endpoints.length} total={docker.endpoints.length} />
          <DataTable label="Endpoints" columns={endpointColumns(context, true)} rows={endpoints} rowKey={({ key }) => key} defaultSort="name:asc" changed={newEndpoints} />
        </>
      )}
      <p class="hint">Read from <Link to={folderPath(context.dc, docker.prefix)}>{docker.prefix}</Link>; time left of sessions as of {readAt ? "a moment ago" : "–"}. {sessions.length === 0 && "No session exists."}</p>
    </>
  );
}

function problemsOf({ docker, sessions, readAt, members }: Context): string[] {
  const problems: string[] = [];
  const expected = expectedCount(members);
  if (docker.engines.length < expected) {
    const missing = members.filter(({ Addr, Status: status }) => status === 1 && !docker.engines.some(({ host }) => host === Addr)).map(({ Name }) => Name);
    problems.push(`${docker.engines.length} of ${plural(expected, "engine")} registered${missing.length > 0 ? `; none on ${missing.join(", ")}` : ""}`);
  }
  for (const engine of docker.engines) {
    for (const problem of engine.problems) problems.push(`Engine ${engine.address}: ${problem}`);
    const session = sessionOf(engine, sessions);
    const left = session && timeLeft(session, readAt);
    if (session && left?.late) problems.push(`Engine ${engine.address} stopped renewing its session: ${left.text}, then its registration goes`);
  }
  for (const network of docker.networks) for (const problem of network.problems) problems.push(`Network ${network.name}: ${problem}`);
  for (const endpoint of docker.endpoints) for (const problem of endpoint.problems) problems.push(`Endpoint ${endpoint.name} (${endpoint.address || endpoint.id.slice(0, 12)}): ${problem}`);
  return problems;
}

function Problems({ problems }: { problems: string[] }): JSX.Element | null {
  return problems.length > 0 ? <Status level="warn">{problems.join("; ")}</Status> : null;
}

function engineColumns({ dc, docker, sessions, readAt, members }: Context): Column<Engine>[] {
  return [
    {
      id: "address", title: "Engine", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(a.address, b.address),
      render: ({ address }) => <Link class="row-link" data-row to={paths.engine(dc, address)}>{address}</Link>,
    },
    {
      id: "node", title: "Node",
      render: ({ host }) => {
        const member = memberOf(host, members);
        return member ? <Link to={paths.node(dc, member.Name)}>{member.Name}</Link> : <span class="hint">no member</span>;
      },
    },
    {
      id: "session", title: "Registration", width: "minmax(0, 2fr)",
      render: (engine) => {
        const session = sessionOf(engine, sessions);
        if (!engine.entry.Session) return <Status level="warn">without a session</Status>;
        if (!session) return <span class="hint">session {shorten(engine.entry.Session, 8)}</span>;
        const left = timeLeft(session, readAt);
        return <Link to={`${paths.sessions(dc)}?filter=${session.ID}`}><Status level={left.late ? "warn" : "ok"}>{left.late ? `not renewed, ${left.text}` : left.text}</Status></Link>;
      },
    },
    {
      id: "endpoints", title: "Endpoints", width: "6.5rem", numeric: true,
      sort: (a, b) => onHost(docker, a.host).length - onHost(docker, b.host).length,
      render: ({ host }) => String(onHost(docker, host).length),
    },
    {
      id: "raw", title: "", width: "5rem",
      render: ({ entry, address }) => <span class="row-actions"><CopyButton text={address} what={`the address ${address}`} /><Link class="button small" to={keyPath(dc, entry.Key)} aria-label={`Key of ${address}`}>Key</Link></span>,
    },
  ];
}

function networkColumns({ dc, docker }: Context): Column<Network>[] {
  return [
    {
      id: "name", title: "Network", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(a.name, b.name),
      render: (network) => (
        <span class="stack">
          <Link class="row-link" data-row to={paths.network(dc, network.id)}>{network.name}</Link>
          <Problems problems={network.problems} />
        </span>
      ),
    },
    { id: "subnet", title: "Subnet", width: "minmax(0, 1.3fr)", render: ({ subnets }) => <Lines lines={subnets.map(({ subnet }) => subnet)} none="none stored" /> },
    { id: "gateway", title: "Gateway", width: "minmax(0, 1.3fr)", wideOnly: true, render: ({ subnets }) => <Lines lines={subnets.map(({ gateway }) => gateway)} none="–" /> },
    { id: "vni", title: "VXLAN id", width: "5.5rem", numeric: true, render: ({ subnets }) => <Lines lines={subnets.map(({ vni }) => (vni ? String(vni) : "not yet"))} none="–" /> },
    {
      id: "endpoints", title: "Endpoints", width: "6.5rem", numeric: true, sort: (a, b) => a.endpoints.length - b.endpoints.length,
      render: ({ endpoints, counter }) => (counter === null || counter === endpoints.length ? String(endpoints.length) : `${endpoints.length} (counted: ${counter})`),
    },
    { id: "used", title: "Addresses", width: "7rem", numeric: true, wideOnly: true, render: (network) => used(docker, network) },
    { id: "marks", title: "Marks", width: "7rem", render: ({ internal, encrypted, driver }) => (internal || encrypted || (driver !== "overlay" && driver)) && <span class="marks">{driver !== "overlay" && driver && <Badge>{driver}</Badge>}{internal && <Badge>internal</Badge>}{encrypted && <Badge>encrypted</Badge>}</span> },
  ];
}

function used(docker: Docker, network: Network): string {
  const pools = docker.pools.filter(({ subnet }) => network.subnets.some((own) => own.subnet === subnet));
  return pools.map((pool) => `${formatNumber(pool.used)} of ${formatNumber(pool.total)}`).join(", ");
}

function Lines({ lines, none }: { lines: string[]; none: string }): JSX.Element {
  if (lines.length === 0) return <span class="hint">{none}</span>;
  return <>{lines.map((line) => <span class="line" key={line}>{line}</span>)}</>;
}

function endpointColumns({ dc, members }: Context, withNetwork: boolean): Column<Endpoint>[] {
  const columns: Column<Endpoint>[] = [
    {
      id: "name", title: "Endpoint", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(a.name, b.name),
      render: (endpoint) => (
        <span class="stack">
          <Link class="row-link" data-row to={keyPath(dc, endpoint.key)} title={endpoint.id}>{endpoint.name}</Link>
          {endpoint.aliases.length > 0 && <span class="hint ellipsis">{endpoint.aliases.join(", ")}</span>}
          <Problems problems={endpoint.problems} />
        </span>
      ),
    },
    { id: "address", title: "Address", width: "minmax(0, 1.3fr)", sort: (a, b) => compareText(a.address, b.address), render: ({ address }) => address || <span class="hint">none</span> },
    { id: "mac", title: "MAC", width: "10rem", wideOnly: true, render: ({ mac }) => mac },
  ];
  if (withNetwork) {
    columns.push({ id: "network", title: "Network", sort: (a, b) => compareText(a.network, b.network), render: (endpoint) => <Link to={paths.network(dc, endpoint.networkId)}>{endpoint.network}</Link> });
  }
  columns.push(
    {
      id: "host", title: "On host", sort: (a, b) => compareText(a.host, b.host),
      render: ({ host }) => {
        const member = memberOf(host, members);
        return <span>{member ? `${member.Name} ` : ""}<span class={member ? "hint" : ""}>{host}</span></span>;
      },
    },
    { id: "ports", title: "Ports", width: "6rem", wideOnly: true, render: ({ ports }) => ports.join(", ") },
  );
  return columns;
}

function NetworkPage({ wanted, ...context }: Context & { wanted: string }): JSX.Element {
  const { dc, docker } = context;
  const [json, setJson] = useState(false);
  const [job, setJob] = useState<Job | null>(null);
  const network = docker.networks.find(({ id, name }) => id === wanted || name === wanted || (wanted.length >= 6 && id.startsWith(wanted)));
  const above = <DockerCrumbs dc={dc}>{network?.name ?? wanted}</DockerCrumbs>;
  if (!network) {
    const strays = docker.strays.filter(({ networkId }) => networkId === wanted);
    return (
      <>
        <PageHead title={shorten(wanted)} above={above} />
        <Notice level="warn" title="There is no such network in the store (any more)." />
        {strays.length > 0 && <DataTable label="Endpoints left behind" columns={endpointColumns(context, false)} rows={strays} rowKey={({ key }) => key} />}
      </>
    );
  }
  const hosts = [...new Set(network.endpoints.map(({ host }) => host))].sort();
  return (
    <>
      <PageHead title={network.name} above={above}>
        <Link class="button plain" to={keyPath(dc, network.key)}>Raw key</Link>
        <Button pressed={json} onClick={() => setJson(!json)}>Show JSON</Button>
      </PageHead>
      {network.problems.length > 0 && <Notice level="warn" title={network.problems.join("; ")} />}
      <Facts
        facts={[
          ["ID", <><code class="break">{network.id}</code> <CopyButton text={network.id} what="the network's id" /></>],
          ["Driver", network.driver || "–"],
          ...network.subnets.map((subnet): [string, ComponentChildren] => [`Subnet ${subnet.subnet}`, `gateway ${subnet.gateway || "–"}, VXLAN id ${subnet.vni || "given with the first container"}`]),
          ["Addresses used", used(docker, network) || "–"],
          ["Created", network.created ? new Date(network.created).toLocaleString("en-GB") : "–"],
          ["Internal", network.internal ? "yes" : "no"],
          ["Encrypted", network.encrypted ? "yes" : "no"],
        ]}
      />
      {json && <ValueView bytes={fromText(pretty(network.raw))} view="JSON" />}
      <h2>Endpoints <span class="count">{network.endpoints.length}</span></h2>
      {network.endpoints.length === 0 && <Empty title="No container is connected" />}
      {hosts.map((host) => {
        const own = network.endpoints.filter((endpoint) => endpoint.host === host);
        const member = memberOf(host, context.members);
        return (
          <section key={host}>
            <h3>{member ? `${member.Name}, ` : ""}{host || "unknown host"} <span class="count">{own.length}</span></h3>
            <DataTable label={`Endpoints on ${host}`} columns={endpointColumns(context, false)} rows={own} rowKey={({ key }) => key} />
          </section>
        );
      })}
      {network.endpoints.some(({ problems }) => problems.length > 0) && (
        <Stale network={network} onDelete={(endpoint) => setJob({ kind: "delete", base: parentOf(endpoint.key), paths: [endpoint.key], alone: true })} />
      )}
      {job && <BulkDialog dc={dc} job={job} onClose={() => setJob(null)} />}
    </>
  );
}

function Stale({ network, onDelete }: { network: Network; onDelete: (endpoint: Endpoint) => void }): JSX.Element {
  const suspects = network.endpoints.filter(({ problems }) => problems.length > 0);
  return (
    <section class="panel">
      <h2>Endpoints that may be left over</h2>
      <p>Try Docker's own way first, on any engine; delete the key only when that fails and the container is surely gone.</p>
      <ul class="plain-list">
        {suspects.map((endpoint) => {
          const command = `docker network disconnect --force ${network.name} ${endpoint.name}`;
          return (
            <li key={endpoint.key}>
              <code class="break">{command}</code> <CopyButton text={command} what="the command" />
              <Button icon="trash" kind="small" writes onClick={() => onDelete(endpoint)}>Delete the key of {endpoint.name}</Button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function pretty(raw: string): string {
  try {
    return JSON.stringify(unfold(JSON.parse(raw)));
  } catch {
    return raw;
  }
}

function EnginePage({ wanted, ...context }: Context & { wanted: string }): JSX.Element {
  const { dc, docker, sessions, readAt, members } = context;
  const engine = docker.engines.find(({ address }) => address === wanted);
  const host = hostOf(wanted);
  const own = onHost(docker, host);
  const session = engine && sessionOf(engine, sessions);
  const left = session && timeLeft(session, readAt);
  const member = memberOf(host, members);
  return (
    <>
      <PageHead title={wanted} above={<DockerCrumbs dc={dc}>{wanted}</DockerCrumbs>}>
        {engine && <Link class="button plain" to={keyPath(dc, engine.entry.Key)}>Raw key</Link>}
      </PageHead>
      {!engine && <Notice level="warn" title="This engine is not registered (any more)."><p>Its key vanishes when the engine stops renewing its session: it was stopped, it crashed, or it cannot reach this cluster.</p></Notice>}
      <Facts
        facts={[
          ["Node", member ? <Link to={paths.node(dc, member.Name)}>{member.Name}</Link> : "no member has this address"],
          ["Registration", left ? <Status level={left.late ? "warn" : "ok"}>{left.late ? `not renewed in time, ${left.text}` : left.text}</Status> : engine ? "without a session" : "none"],
          ...(session ? [["Session", <Link to={`${paths.sessions(dc)}?filter=${session.ID}`}>{session.ID}</Link>] as [string, ComponentChildren], ["TTL", session.TTL] as [string, ComponentChildren]] : []),
          ...(engine ? [["Registered since index", engine.entry.CreateIndex] as [string, ComponentChildren]] : []),
        ]}
      />
      <h2>Endpoints <span class="count">{own.length}</span></h2>
      {own.length === 0 ? <Empty title="No container of this engine is connected to an overlay network" /> : <DataTable label="Endpoints" columns={endpointColumns(context, true)} rows={own} rowKey={({ key }) => key} defaultSort="name:asc" />}
    </>
  );
}

function DockerCrumbs({ dc, children }: { dc: string; children: ComponentChildren }): JSX.Element {
  return (
    <nav class="crumbs" aria-label="Path">
      <ol>
        <li><Link to={paths.docker(dc)}>Docker</Link></li>
        <li><span>{children}</span></li>
      </ol>
    </nav>
  );
}

function NoDocker({ members }: { members: Member[] }): JSX.Element {
  const [address] = [...members.map(({ Addr }) => Addr), window.location.hostname];
  const options = `dockerd --cluster-store=consul://${address}:${window.location.port || "8500"} --cluster-advertise=eth0:2375`;
  return (
    <>
      <PageHead title="Docker" />
      <Empty title="No Docker engine has registered here yet">
        <p>This page fills by itself when an engine is started with these options (Docker 20.10 and older; the interface is the one that the hosts reach each other by):</p>
        <p class="command"><code class="break">{options}</code> <CopyButton text={options} what="the command" /></p>
        <p class="hint">Engines that were started with a path behind the address are found too. {leader.value === "" && "The cluster has no leader at the moment, so engines cannot register."}</p>
      </Empty>
    </>
  );
}
