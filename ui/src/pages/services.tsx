// Services and checks, as the catalog holds them.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { useChanged } from "../changed";
import { Facets, NothingFound, STATUSES, passes, searchText } from "../facets";
import { matcher } from "../filter";
import { plural } from "../format";
import { useLive } from "../live";
import { paths } from "../paths";
import { location_, setQuery } from "../router";
import { type Column, DataTable, compareText } from "../table";
import { Badge, Button, CopyButton, Empty, Facts, FilterBox, Link, Notice, PageHead, StatusOf, Tabs, Waiting } from "../ui";
import { worst } from "./nodes";
import type { Check } from "./overview";

interface Row {
  name: string;
  tags: string[];
  health: string;
  checks: number;
  kind: string;
  /** What registered it, as its metadata says. */
  sources: string[];
}

interface Summary {
  Name: string;
  Kind?: string;
  ExternalSources: string[] | null;
}

interface Instance {
  Node: { Node: string; Address: string; Meta: Record<string, string> | null };
  Service: { ID: string; Service: string; Tags: string[] | null; Address: string; Port: number; Meta: Record<string, string> | null; TaggedAddresses?: Record<string, { Address: string; Port: number }> | null };
  Checks: Check[];
}

const RANK: Record<string, number> = { critical: 0, warning: 1, passing: 2 };
const OUTPUT_LINES = 20;
const SUMMARY_MS = 15_000;
const withoutSummaries = signal(false);

export function ServicesPage({ dc }: { dc: string }): JSX.Element {
  const catalog = useLive<Record<string, string[]>>("catalog/services");
  const checks = useLive<Check[]>("health/state/any");
  // Kinds and sources seldom change, and agents may do without this endpoint.
  const more = useLive<Summary[]>(withoutSummaries.value ? null : "internal/ui/services", { every: SUMMARY_MS });
  if (more.status.value === 404) withoutSummaries.value = true;
  const filter = location_.value.query.get("filter") ?? "";
  const rows = useMemo(
    () =>
      Object.entries(catalog.data.value ?? {}).map(([name, tags]): Row => {
        const own = (checks.data.value ?? []).filter(({ ServiceName }) => ServiceName === name);
        const summary = more.data.value?.find(({ Name }) => Name === name);
        return { name, tags: tags ?? [], health: worst(own), checks: own.length, kind: summary?.Kind || "typical", sources: summary?.ExternalSources ?? [] };
      }),
    [catalog.data.value, checks.data.value, more.data.value],
  );
  const match = matcher(filter, ["tag", "name", "status"]);
  const shown = rows.filter((row) => passes("status", row.health || "empty") && passes("kind", row.kind) && passes("source", ...row.sources) && match({ text: searchText({ Name: [row.name], Tags: row.tags }), fields: { tag: row.tags, name: [row.name], status: [row.health] } }));
  const kinds = [...new Set(rows.map(({ kind }) => kind))].sort();
  const facets = [
    { name: "status", title: "Status", values: [...STATUSES, "empty"] },
    { name: "kind", title: "Kind", values: kinds.length > 1 ? kinds : [] },
    { name: "source", title: "Source", values: [...new Set(rows.flatMap(({ sources }) => sources))].sort() },
  ];
  const changed = useChanged(catalog.at.value && checks.at.value ? rows : undefined, ({ name }) => name, ({ health, tags }) => `${health} ${tags.join(" ")}`);
  const nodeChecks = (checks.data.value ?? []).filter(({ ServiceID, Status }) => ServiceID === "" && Status !== "passing");
  const columns: Column<Row>[] = [
    { id: "Name", title: "Service", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(a.name, b.name), render: ({ name }) => <Link class="row-link" data-row to={paths.service(dc, name)}>{name}</Link> },
    { id: "Status", title: "Checks", width: "9rem", sort: (a, b) => (RANK[a.health] ?? 3) - (RANK[b.health] ?? 3), render: ({ health, checks: count }) => (health ? <StatusOf word={health} /> : <span class="hint">{count === 0 ? "none" : plural(count, "check")}</span>) },
    { id: "tags", title: "Tags", width: "minmax(0, 2fr)", render: ({ tags }) => <Tags tags={tags} /> },
  ];
  return (
    <>
      <PageHead title="Services" count={catalog.at.value ? plural(rows.length, "service") : undefined} />
      <div class="toolbar">
        <FilterBox label="Filter services" shown={shown.length} total={rows.length} />
        <Facets facets={facets} properties={["Name", "Tags"]} />
      </div>
      {catalog.at.value === 0 ? <Waiting what="the services" error={catalog.error.value} /> : rows.length === 0 ? (
        <Empty title="No service is registered" />
      ) : shown.length === 0 ? <NothingFound what="services" /> : (
        <DataTable label="Services" columns={columns} rows={shown} rowKey={({ name }) => name} defaultSort="Status:asc" changed={changed} />
      )}
      {nodeChecks.length > 0 && (
        <section>
          <h2>Checks of nodes that do not pass</h2>
          <CheckList checks={nodeChecks} />
        </section>
      )}
    </>
  );
}

function Tags({ tags }: { tags: string[] }): JSX.Element | null {
  if (tags.length === 0) return null;
  return (
    <span class="marks">
      {tags.map((tag) => (
        <button key={tag} type="button" class="badge tag" onClick={() => setQuery("filter", `tag:${tag}`)}>{tag}</button>
      ))}
    </span>
  );
}

export function ServicePage({ dc, name, tab, instance }: { dc: string; name: string; tab: string; instance?: { node: string; id: string } }): JSX.Element {
  const live = useLive<Instance[]>(`health/service/${encodeURIComponent(name)}`);
  const [kept, setKept] = useState<Instance[]>([]);
  const data = live.data.value;
  if (data && data.length > 0 && data !== kept) setKept(data);
  const gone = live.at.value > 0 && (data?.length ?? 0) === 0;
  const instances = gone ? kept : (data ?? []);
  const changed = useChanged(live.at.value ? instances : undefined, keyOfInstance, ({ Checks, Service }) => `${worst(Checks)} ${Service.Port}`);
  if (instance) return <InstancePage dc={dc} name={name} tab={tab} wanted={instance} instances={instances} live={{ loaded: live.at.value > 0, error: live.error.value }} />;
  const match = matcher(location_.value.query.get("filter") ?? "", ["tag", "node", "status"]);
  const shown = instances.filter(
    (each) =>
      passes("status", worst(each.Checks) || "empty") && passes("source", ...sourcesOf(each)) &&
      match({
        text: searchText({
          Name: [each.Service.Service], Node: [each.Node.Node], Tags: each.Service.Tags ?? [], ID: [each.Service.ID], Address: [addressOf(each)], Port: [String(each.Service.Port)],
          "Service.Meta": Object.entries(each.Service.Meta ?? {}).flat(), "Node.Meta": Object.entries(each.Node.Meta ?? {}).flat(),
        }),
        fields: {
          tag: each.Service.Tags ?? [], node: [each.Node.Node], status: [worst(each.Checks)],
          ...Object.fromEntries(Object.entries({ ...each.Node.Meta, ...each.Service.Meta }).map(([key, value]) => [`meta.${key}`, [value]])),
        },
      }),
  );
  const tags = [...new Set(instances.flatMap(({ Service }) => Service.Tags ?? []))].sort();
  const columns: Column<Instance>[] = [
    { id: "id", title: "Instance", main: true, width: "minmax(0, 1.5fr)", sort: (a, b) => compareText(a.Service.ID, b.Service.ID), render: (each) => { const { Service, Node } = each; return <span class="marks"><Link class="row-link" data-row to={paths.instance(dc, name, Node.Node, Service.ID)}>{Service.ID}</Link>{inMaintenance(each) && <Badge kind="lock">maintenance</Badge>}</span>; } },
    { id: "Status", title: "Service checks", width: "8rem", sort: (a, b) => (RANK[worst(a.Checks)] ?? 3) - (RANK[worst(b.Checks)] ?? 3), render: ({ Checks }) => <Worst checks={Checks.filter(({ ServiceID }) => ServiceID !== "")} /> },
    { id: "nodeStatus", title: "Node checks", width: "8rem", render: ({ Checks }) => <Worst checks={Checks.filter(({ ServiceID }) => ServiceID === "")} /> },
    { id: "Node", title: "Node", sort: (a, b) => compareText(a.Node.Node, b.Node.Node), render: ({ Node }) => <Link to={paths.node(dc, Node.Node)}>{Node.Node}</Link> },
    { id: "address", title: "Address", width: "minmax(0, 1.3fr)", render: (each) => <span class="with-copy">{addressOf(each)} <CopyButton text={addressOf(each)} what={`the address of ${each.Service.ID}`} /></span> },
    { id: "tags", title: "Tags", wideOnly: true, render: ({ Service }) => <span class="marks">{(Service.Tags ?? []).map((tag) => <Badge key={tag}>{tag}</Badge>)}</span> },
  ];
  return (
    <>
      <PageHead title={name} above={<ServiceCrumbs dc={dc} name={name} />} count={plural(instances.length, "instance")} />
      {gone && <Notice level="warn" title={kept.length > 0 ? "This service was deregistered while it was open. This is what it was." : "There is no such service (any more)."} />}
      {live.at.value === 0 ? <Waiting what="this service" error={live.error.value} /> : (
        <>
          <Tabs current={tab} tabs={[{ id: "instances", title: "Instances", to: paths.service(dc, name, "instances") }, { id: "tags", title: `Tags (${tags.length})`, to: paths.service(dc, name, "tags") }]} />
          {tab === "tags" ? (tags.length > 0 ? <p class="marks">{tags.map((tag) => <Badge key={tag}>{tag}</Badge>)}</p> : <Empty title="No instance has tags" />) : instances.length > 0 && (
            <>
              <div class="toolbar">
                <FilterBox label="Filter instances" shown={shown.length} total={instances.length} />
                <Facets
                  facets={[
                    { name: "status", title: "Status", values: [...STATUSES, "empty"] },
                    { name: "source", title: "Source", values: [...new Set(instances.flatMap(sourcesOf))].sort() },
                  ]}
                  properties={["Name", "Node", "Tags", "ID", "Address", "Port", "Service.Meta", "Node.Meta"]}
                />
              </div>
              {shown.length === 0 ? <NothingFound what="instances" /> : <DataTable label={`Instances of ${name}`} columns={columns} rows={shown} rowKey={keyOfInstance} defaultSort="Status:asc" changed={changed} />}
            </>
          )}
        </>
      )}
    </>
  );
}

const keyOfInstance = ({ Node, Service }: Instance) => `${Node.Node} ${Service.ID}`;
const sourcesOf = ({ Service }: Instance) => [Service.Meta?.["external-source"] ?? ""].filter(Boolean);
const inMaintenance = ({ Checks }: Instance) => Checks.some(({ CheckID }) => CheckID === "_node_maintenance" || CheckID.startsWith("_service_maintenance:"));

function addressOf({ Node, Service }: Instance): string {
  const address = Service.Address || Node.Address;
  return Service.Port ? `${address}:${Service.Port}` : address;
}

function Worst({ checks }: { checks: Check[] }): JSX.Element {
  const found = worst(checks);
  return found ? <StatusOf word={found} /> : <span class="hint">none</span>;
}

function ServiceCrumbs({ dc, name, more }: { dc: string; name: string; more?: string }): JSX.Element {
  return (
    <nav class="crumbs" aria-label="Path">
      <ol>
        <li><Link to={paths.services(dc)}>Services</Link></li>
        <li>{more ? <Link to={paths.service(dc, name)}>{name}</Link> : <span>{name}</span>}</li>
        {more && <li><span>{more}</span></li>}
      </ol>
    </nav>
  );
}

interface InstanceProps {
  dc: string;
  name: string;
  tab: string;
  wanted: { node: string; id: string };
  instances: Instance[];
  live: { loaded: boolean; error: Error | null };
}

function InstancePage({ dc, name, tab, wanted, instances, live }: InstanceProps): JSX.Element {
  const instance = instances.find(({ Node, Service }) => Node.Node === wanted.node && Service.ID === wanted.id);
  const tabs = ["health-checks", "metadata", "addresses"];
  const current = tabs.includes(tab) ? tab : "health-checks";
  return (
    <>
      <PageHead title={wanted.id} above={<ServiceCrumbs dc={dc} name={name} more={wanted.id} />} />
      {!instance ? (live.loaded ? <Notice level="warn" title="There is no such instance (any more)." /> : <Waiting what="this instance" error={live.error} />) : (
        <>
          <Facts facts={[["Address", <>{addressOf(instance)} <CopyButton text={addressOf(instance)} what="the address" /></>], ["Node", <Link to={paths.node(dc, wanted.node)}>{wanted.node}</Link>], ["Tags", (instance.Service.Tags ?? []).join(", ") || "none"]]} />
          <Tabs
            current={current}
            tabs={[["health-checks", `Health checks (${instance.Checks.length})`], ["metadata", "Metadata"], ["addresses", "Addresses"]].map(([id, title]) => ({ id, title, to: paths.instance(dc, name, wanted.node, wanted.id, id) }))}
          />
          {current === "health-checks" && (instance.Checks.length > 0 ? <CheckList checks={instance.Checks} filtered /> : <Empty title="There are no checks" />)}
          {current === "metadata" && (Object.keys(instance.Service.Meta ?? {}).length > 0 ? <Facts facts={Object.entries(instance.Service.Meta ?? {})} /> : <Empty title="There is no metadata" />)}
          {current === "addresses" && (Object.keys(instance.Service.TaggedAddresses ?? {}).length > 0 ? <Facts facts={Object.entries(instance.Service.TaggedAddresses ?? {}).map(([tag, { Address, Port }]) => [tag, `${Address}:${Port}`])} /> : <Empty title="There are no tagged addresses" />)}
        </>
      )}
    </>
  );
}

const CHECK_PROPERTIES = ["Name", "Node", "CheckID", "Notes", "Output", "ServiceTags"];

/** The type of a check: what the catalog says, and gossip's own is known by its id. */
const typeOf = (check: Check) => (check.CheckID === "serfHealth" ? "serf" : check.Type);

/** `filtered`: with the filters of the address, on the pages where checks are the list. */
export function CheckList({ checks, filtered = false }: { checks: Check[]; filtered?: boolean }): JSX.Element {
  const query = location_.value.query;
  const [by, direction] = (filtered && query.get("sort") ? (query.get("sort") as string) : "Status:asc").split(":");
  const filter = filtered ? (query.get("filter") ?? "") : "";
  const match = matcher(filter, ["status", "node", "type"]);
  const shown = checks.filter(
    (check) =>
      !filtered ||
      (passes("status", check.Status) && passes("kind", check.ServiceID ? "service" : "node") && passes("check", typeOf(check)) &&
        match({
          text: searchText({ Name: [check.Name], Node: [check.Node, check.ServiceName], CheckID: [check.CheckID], Notes: [check.Notes], Output: [check.Output], ServiceTags: check.ServiceTags ?? [] }),
          fields: { status: [check.Status], node: [check.Node], type: [typeOf(check)] },
        })),
  );
  const order = by.toLowerCase() === "name" ? compareName : (a: Check, b: Check) => (RANK[a.Status] ?? 3) - (RANK[b.Status] ?? 3) || compareName(a, b);
  const sorted = [...shown].sort((a, b) => (direction === "desc" ? -1 : 1) * order(a, b));
  const gossip = checks.some(({ CheckID, Status }) => CheckID === "serfHealth" && Status === "critical");
  const types = [...new Set(checks.map(typeOf))].filter(Boolean).sort();
  const facets = [
    { name: "status", title: "Status", values: STATUSES },
    { name: "kind", title: "Kind", values: ["service", "node"] },
    { name: "check", title: "Type", values: types },
  ];
  return (
    <>
      {filtered && (
        <div class="toolbar">
          <FilterBox label="Filter checks" shown={shown.length} total={checks.length} />
          <Facets facets={facets} properties={CHECK_PROPERTIES} />
          <Button onClick={() => setQuery("sort", by.toLowerCase() === "name" ? "" : "Name:asc")}>{by.toLowerCase() === "name" ? "Worst first" : "By name"}</Button>
        </div>
      )}
      {shown.length === 0 && <NothingFound what="checks" />}
      {gossip && <Notice level="warn" title="The node does not answer to gossip, so the other statuses are those from before." />}
      <ul class="cards checks">
        {sorted.map((check) => (
          <li key={`${check.Node} ${check.CheckID}`} class="card">
            <div class="card-head"><strong>{check.Name || check.CheckID}</strong><StatusOf word={check.Status} /></div>
            <p class="hint">{check.CheckID} on {check.Node}{check.ServiceName && `, of ${check.ServiceName}`}{check.Type && `, ${check.Type}`}</p>
            {check.Notes && <p>{check.Notes}</p>}
            {check.Output && <Output text={check.Output} name={check.Name} />}
          </li>
        ))}
      </ul>
    </>
  );
}

const compareName = (a: Check, b: Check) => compareText(a.Name, b.Name);

function Output({ text, name }: { text: string; name: string }): JSX.Element {
  const [open, setOpen] = useState(false);
  const lines = text.split("\n");
  const folded = !open && lines.length > OUTPUT_LINES;
  return (
    <div class="output">
      <pre class="code wrap" tabIndex={0} aria-label={`Output of ${name}`}>{folded ? lines.slice(0, OUTPUT_LINES).join("\n") : text}</pre>
      <CopyButton text={text} what={`the output of ${name}`} />
      {lines.length > OUTPUT_LINES && <Button kind="small" onClick={() => setOpen(!open)}>{open ? "Fold" : `Show all ${lines.length} lines`}</Button>}
    </div>
  );
}
