// Which address shows what: reading and writing of the page's paths. Pure, no browser state.
//
// A key is any string, so its segments are percent-encoded one by one; keys with an empty, "." or ".." segment are
// named by ?key= or ?folder=, because proxies and browsers change such paths.

export type Route =
  | { page: "start" }
  | { page: "overview"; dc: string }
  | { page: "docker"; dc: string; network?: string; engine?: string }
  | { page: "services"; dc: string }
  | { page: "service"; dc: string; name: string; tab: string; instance?: { node: string; id: string } }
  | { page: "nodes"; dc: string }
  | { page: "node"; dc: string; name: string; tab: string }
  | { page: "folder"; dc: string; prefix: string }
  | { page: "key"; dc: string; key: string }
  | { page: "guess"; dc: string; key: string }
  | { page: "create"; dc: string; prefix: string }
  | { page: "sessions"; dc: string }
  | { page: "events"; dc: string }
  | { page: "search"; dc: string }
  | { page: "acls"; dc: string }
  | { page: "settings" }
  | { page: "missing"; dc?: string };

export interface Found {
  route: Route;
  /** The path (below the content path, with its query) that should stand in the address bar instead. */
  moved?: string;
}

const NODE_TABS = ["health-checks", "service-instances", "round-trip-time", "lock-sessions", "metadata"];
const SERVICE_TABS = ["instances", "tags"];
const INSTANCE_TABS = ["health-checks", "metadata", "upstreams", "exposed-paths", "addresses"];

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone %: taken as it is
  }
}

const decodePath = (path: string) => path.split("/").map(decode).join("/");
const encodePath = (path: string) => path.split("/").map(encodeURIComponent).join("/");

function isOdd(path: string): boolean {
  const segments = path.split("/");
  return segments.some((segment, at) => segment === "." || segment === ".." || (segment === "" && at < segments.length - 1));
}

export function keyPath(dc: string, key: string): string {
  if (isOdd(key) || key.endsWith("/")) return `${encodeURIComponent(dc)}/kv?key=${encodeURIComponent(key)}`;
  return `${encodeURIComponent(dc)}/kv/${encodePath(key)}/edit`;
}

export function folderPath(dc: string, prefix: string): string {
  const start = `${encodeURIComponent(dc)}/kv`;
  if (prefix === "") return start;
  if (isOdd(prefix)) return `${start}?folder=${encodeURIComponent(prefix)}`;
  return `${start}/${encodePath(prefix)}`;
}

export function createPath(dc: string, prefix: string): string {
  const start = `${encodeURIComponent(dc)}/kv`;
  if (isOdd(prefix)) return `${start}/create?folder=${encodeURIComponent(prefix)}`;
  return `${start}/${encodePath(prefix)}create`;
}

const join = (dc: string, ...rest: string[]) => [dc, ...rest].map(encodeURIComponent).join("/");

export const paths = {
  overview: (dc: string) => join(dc, "overview"),
  docker: (dc: string) => join(dc, "docker"),
  network: (dc: string, id: string) => join(dc, "docker", "networks", id),
  engine: (dc: string, address: string) => join(dc, "docker", "engines", address),
  services: (dc: string) => join(dc, "services"),
  service: (dc: string, name: string, tab = "instances") => join(dc, "services", name, tab),
  instance: (dc: string, name: string, node: string, id: string, tab = "health-checks") =>
    join(dc, "services", name, "instances", node, id, tab),
  nodes: (dc: string) => join(dc, "nodes"),
  node: (dc: string, name: string, tab = "health-checks") => join(dc, "nodes", name, tab),
  sessions: (dc: string) => join(dc, "sessions"),
  events: (dc: string) => join(dc, "events"),
  search: (dc: string, text: string) => `${join(dc, "search")}?q=${encodeURIComponent(text)}`,
  settings: () => "settings",
};

/** What a path below the content path shows. `path` is as in the address bar, without a leading slash. */
export function findRoute(path: string, query: URLSearchParams, hash: string): Found {
  if (hash.startsWith("#/")) {
    const old = oldPath(hash.slice(2));
    return { ...findRoute(old, new URLSearchParams(), ""), moved: old };
  }
  const bare = path.replace(/^[~_][^/]*\//, "");
  if (bare !== path) return { ...findRoute(bare, query, ""), moved: withQuery(bare, query) };
  if (path === "") return { route: { page: "start" } };
  if (/^settings?\/?$/.test(path)) return { route: { page: "settings" } };
  const slash = path.indexOf("/");
  const dc = decode(slash < 0 ? path : path.slice(0, slash));
  const rest = slash < 0 ? "" : path.slice(slash + 1);
  if (rest === "kv" || rest.startsWith("kv/")) return kvRoute(dc, rest.slice(3), query);
  const parts = rest.split("/").map(decode);
  if (parts[parts.length - 1] === "") parts.pop();
  const [area, name, ...more] = parts;
  switch (area) {
    case undefined:
      return { route: { page: "overview", dc }, moved: paths.overview(dc) };
    case "overview":
      return name === undefined
        ? { route: { page: "overview", dc } }
        : { route: { page: "overview", dc }, moved: paths.overview(dc) };
    case "docker":
      if (name === undefined) return { route: { page: "docker", dc } };
      if (name === "networks" && more.length === 1) return { route: { page: "docker", dc, network: more[0] } };
      if (name === "engines" && more.length === 1) return { route: { page: "docker", dc, engine: more[0] } };
      break;
    case "nodes": {
      if (name === undefined) return { route: { page: "nodes", dc } };
      const tab = NODE_TABS.includes(more[0] ?? "") ? more[0] : NODE_TABS[0];
      const route: Route = { page: "node", dc, name, tab };
      return more.length === 1 && more[0] === tab ? { route } : { route, moved: paths.node(dc, name, tab) };
    }
    case "services":
      if (name === undefined) return { route: { page: "services", dc } };
      return serviceRoute(dc, name, more);
    case "sessions":
    case "events":
    case "search":
      if (name === undefined) return { route: { page: area, dc } };
      break;
    case "acls":
      return { route: { page: "acls", dc } };
  }
  return { route: { page: "missing", dc } };
}

function serviceRoute(dc: string, name: string, more: string[]): Found {
  if (more[0] === "instances" && more.length >= 3) return instanceRoute(dc, name, more.slice(1));
  if (more.length === 2 && !SERVICE_TABS.includes(more[0])) return instanceRoute(dc, name, more);
  const tab = SERVICE_TABS.includes(more[0]) ? more[0] : SERVICE_TABS[0];
  const route: Route = { page: "service", dc, name, tab };
  return more.length === 1 && more[0] === tab ? { route } : { route, moved: paths.service(dc, name, tab) };
}

function instanceRoute(dc: string, name: string, [node, id, wanted]: string[]): Found {
  const tab = INSTANCE_TABS.includes(wanted ?? "") ? wanted : INSTANCE_TABS[0];
  return {
    route: { page: "service", dc, name, tab, instance: { node, id } },
    moved: paths.instance(dc, name, node, id, tab),
  };
}

function kvRoute(dc: string, raw: string, query: URLSearchParams): Found {
  const key = query.get("key");
  const folder = query.get("folder");
  if (raw === "create" || raw.endsWith("/create")) {
    let prefix = folder ?? decodePath(raw.slice(0, -"create".length));
    if (folder === null && prefix.endsWith("//")) prefix = prefix.slice(0, -1);
    return { route: { page: "create", dc, prefix } };
  }
  if (key !== null) return { route: { page: "key", dc, key } };
  if (folder !== null) return { route: { page: "folder", dc, prefix: folder } };
  if (raw === "" || raw.endsWith("/")) return { route: { page: "folder", dc, prefix: decodePath(raw) } };
  if (raw.endsWith("/edit")) return { route: { page: "key", dc, key: decodePath(raw.slice(0, -"/edit".length)) } };
  return { route: { page: "guess", dc, key: decodePath(raw) } };
}

/** From what stood behind the # up to Consul 1.1. */
function oldPath(path: string): string {
  const [dc, area, ...rest] = path.split("/");
  if (area === "settings" || dc === "settings") return "settings";
  if (area === "acls" || area === "unauthorized" || area === "aclsdisabled") return `${dc}/acls/tokens`;
  if (area === "kv" && rest.length > 0 && rest[rest.length - 1] !== "" && rest[rest.length - 1] !== "edit")
    return `${path}/edit`;
  return path;
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}
