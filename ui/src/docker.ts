// What Docker engines keep in the store, decoded: engines, overlay networks, endpoints, and what is wrong with them.
// Shapes: docs/design/ui.md, "Docker's keys". A value of an unknown shape becomes a problem of its row, never an error.
import { computed, effect, signal } from "@preact/signals";
import { call } from "./api";
import { asText, fromBase64 } from "./bytes";
import type { RawEntry } from "./kv";
import { keyUrl } from "./kv";
import { type Live, useLive } from "./live";
import { dockerPrefix } from "./settings";
import { unfold } from "./json";
import { plural } from "./format";

export interface Engine {
  address: string;
  host: string;
  entry: RawEntry;
  problems: string[];
}

export interface Subnet {
  subnet: string;
  gateway: string;
  vni: number;
}

export interface Endpoint {
  id: string;
  networkId: string;
  network: string;
  name: string;
  address: string;
  mac: string;
  /** Address of the host that runs it. */
  host: string;
  sandbox: string;
  aliases: string[];
  ports: string[];
  key: string;
  problems: string[];
}

export interface Network {
  id: string;
  name: string;
  driver: string;
  subnets: Subnet[];
  internal: boolean;
  encrypted: boolean;
  created: string;
  /** What docker counts; null when it says nothing. */
  counter: number | null;
  endpoints: Endpoint[];
  key: string;
  raw: string;
  problems: string[];
}

export interface Pool {
  subnet: string;
  used: number;
  total: number;
}

export interface Docker {
  prefix: string;
  engines: Engine[];
  networks: Network[];
  endpoints: Endpoint[];
  /** Endpoints whose network is unknown. */
  strays: Endpoint[];
  pools: Pool[];
  empty: boolean;
}

type Json = Record<string, unknown>;

function readJson(entry: RawEntry): unknown {
  const text = asText(fromBase64(entry.Value));
  if (text === null || text === "") return undefined;
  try {
    return unfold(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const object = (value: unknown): Json => (value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");

export function hostOf(address: string): string {
  const bracket = /^\[([^\]]+)\](?::\d+)?$/.exec(address);
  if (bracket) return bracket[1];
  return address.split(":").length === 2 ? address.split(":")[0] : address;
}

/** Total and used bits of a libnetwork bit set; null for another shape. */
export function bitSet(sequence: string): { total: number; used: number } | null {
  try {
    const bytes = fromBase64(sequence);
    if (bytes.length < 16) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const total = Number(view.getBigUint64(0));
    return { total, used: total - Number(view.getBigUint64(8)) };
  } catch {
    return null;
  }
}

export function decodeDocker(entries: RawEntry[], prefix: string): Docker {
  const engines: Engine[] = [];
  const networks = new Map<string, Network>();
  const endpoints: Endpoint[] = [];
  const counters = new Map<string, number>();
  const overlays = new Map<string, { subnets: Subnet[]; secure: boolean }>();
  const pools: Pool[] = [];

  for (const entry of entries) {
    const path = entry.Key.slice(prefix.length);
    const parts = path.split("/");
    if (path.startsWith("nodes/") && path !== "nodes/") engines.push(engineOf(entry, path.slice(6)));
    if (!path.startsWith("network/v1.0/")) continue;
    const [, , kind, ...rest] = parts;
    const value = () => readJson(entry);
    if (kind === "network" && rest[0]) networks.set(rest[0], networkOf(entry, rest[0], value()));
    else if (kind === "endpoint" && rest[0] && rest[1]) endpoints.push(endpointOf(entry, rest[0], rest[1], value()));
    else if (kind === "endpoint_count" && rest[0]) {
      const count = object(value()).Count;
      if (typeof count === "number") counters.set(rest[0], count);
    } else if (kind === "overlay" && rest[0] === "network" && rest[1]) overlays.set(rest[1], overlayOf(value()));
    else if (kind === "ipam" && rest[1] === "data" && rest.length > 4) {
      const bits = bitSet(text(object(value()).sequence));
      if (bits) pools.push({ subnet: rest.slice(3, 5).join("/"), ...bits });
    }
  }

  const hosts = new Set(engines.map(({ host }) => host));
  for (const endpoint of endpoints) {
    const network = networks.get(endpoint.networkId);
    if (network) {
      network.endpoints.push(endpoint);
      endpoint.network = network.name;
    } else endpoint.problems.push("its network is not in the store");
    if (endpoint.host && !hosts.has(hostOf(endpoint.host))) endpoint.problems.push("its engine is not registered");
  }
  for (const network of networks.values()) judge(network, overlays.get(network.id), counters.get(network.id));
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  return {
    prefix,
    engines,
    networks: [...networks.values()].sort(byName),
    endpoints,
    strays: endpoints.filter(({ networkId }) => !networks.has(networkId)),
    pools,
    empty: engines.length === 0 && networks.size === 0,
  };
}

function engineOf(entry: RawEntry, address: string): Engine {
  const problems = entry.Session ? [] : ["no session holds it, so it stays when the engine is gone"];
  return { address, host: hostOf(address), entry, problems };
}

function networkOf(entry: RawEntry, id: string, value: unknown): Network {
  const fields = object(value);
  const network: Network = {
    id,
    name: text(fields.name) || id.slice(0, 12),
    driver: text(fields.networkType),
    subnets: [],
    internal: fields.internal === true,
    encrypted: false,
    created: text(fields.created),
    counter: null,
    endpoints: [],
    key: entry.Key,
    raw: asText(fromBase64(entry.Value)) ?? "",
    problems: [],
  };
  if (value === undefined || !fields.name) network.problems.push("its value is not what Docker writes");
  if (fields.inDelete === true) network.problems.push("it is being deleted");
  for (const info of list(fields.ipamV4Info)) {
    const data = object(object(info).IPAMData);
    if (text(data.Pool)) network.subnets.push({ subnet: text(data.Pool), gateway: text(data.Gateway), vni: 0 });
  }
  return network;
}

function overlayOf(value: unknown): { subnets: Subnet[]; secure: boolean } {
  // Old engines store only the list.
  const fields = object(value);
  const subnets = list(Array.isArray(value) ? value : fields.subnets).map((each) => {
    const subnet = object(each);
    return { subnet: text(subnet.SubnetIP), gateway: text(subnet.GwIP), vni: Number(subnet.Vni) || 0 };
  });
  return { subnets, secure: fields.secure === true };
}

function judge(network: Network, overlay: { subnets: Subnet[]; secure: boolean } | undefined, counter: number | undefined): void {
  if (overlay && overlay.subnets.length > 0) network.subnets = overlay.subnets;
  network.encrypted = overlay?.secure ?? false;
  if (network.subnets.length === 0) network.problems.push("there is no subnet data for it");
  else if (network.driver === "overlay" && !overlay) network.problems.push("the overlay driver stored no VXLAN id for it");
  network.counter = counter ?? null;
  if (counter !== undefined && counter !== network.endpoints.length) {
    network.problems.push(`Docker counts ${plural(counter, "endpoint")}, ${network.endpoints.length} stored`);
  }
  const seen = new Map<string, string>();
  for (const endpoint of network.endpoints) {
    const other = endpoint.address && seen.get(endpoint.address);
    if (other) endpoint.problems.push(`its address is also that of ${other}`);
    seen.set(endpoint.address, endpoint.name);
  }
}

function endpointOf(entry: RawEntry, networkId: string, id: string, value: unknown): Endpoint {
  const fields = object(value);
  const face = object(fields.ep_iface);
  return {
    id,
    networkId,
    network: networkId.slice(0, 12),
    name: text(fields.name) || id.slice(0, 12),
    address: text(face.addr),
    mac: text(face.mac),
    host: text(fields.locator),
    sandbox: text(fields.sandbox),
    aliases: list(fields.myAliases).map(text).filter(Boolean),
    ports: list(fields.exposed_ports).map((port) => text(object(port).Port)).filter(Boolean),
    key: entry.Key,
    problems: value === undefined ? ["its value is not what Docker writes"] : [],
  };
}

// Where the keys are

const found = signal("docker/");
export const prefixInUse = computed(() => {
  const chosen = dockerPrefix.value.replace(/^\/+|\/+$/g, "");
  return chosen ? `${chosen}/` : found.value;
});
let looked = false;

/** Engines that were started with a path keep everything below it: looks once at all names of keys. */
async function lookForPrefix(): Promise<void> {
  if (looked) return;
  looked = true;
  const { data } = await call<string[] | null>("GET", "kv/", { query: { keys: "", stale: "" }, accept: [404] });
  const key = data?.find((name) => /(^|\/)docker\/(nodes\/.|network\/v1\.0\/)/.test(name));
  if (key) found.value = key.slice(0, key.search(/(^|\/)docker\/(nodes\/|network\/)/) + (key.startsWith("docker/") ? 7 : 8));
}

export interface LiveDocker {
  docker: Docker | null;
  live: Live<RawEntry[]>;
}

let decoded: { from: RawEntry[] | undefined; prefix: string; docker: Docker } | null = null;

export function useDocker(): LiveDocker {
  const prefix = prefixInUse.value;
  const live = useLive<RawEntry[]>(keyUrl(prefix), { query: { recurse: "" } });
  const data = live.data.value;
  if (live.at.value === 0) return { docker: null, live };
  if (!decoded || decoded.from !== data || decoded.prefix !== prefix) {
    decoded = { from: data, prefix, docker: decodeDocker(data ?? [], prefix) };
  }
  if (decoded.docker.empty && !dockerPrefix.value) {
    lookForPrefix().catch(() => {
      looked = false; // looked again with the next change
    });
  }
  return { docker: decoded.docker, live };
}

effect(() => {
  if (dockerPrefix.value) looked = false;
});
