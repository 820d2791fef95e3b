// A folder of keys: its breadcrumb, what is in it, what can be done with what is in it.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call } from "../api";
import { fromBase64 } from "../bytes";
import { formatBytes, formatNumber, plural } from "../format";
import { useChanged } from "../changed";
import { Facets, NothingFound, passes } from "../facets";
import { matcher } from "../filter";
import { Icon } from "../icons";
import { type RawEntry, addressablePart, download, exportText, flagsName, isAddressable, keyUrl, listBelow, valueSize } from "../kv";
import { useLive } from "../live";
import { createPath, folderPath, keyPath, paths } from "../paths";
import { visited } from "../places";
import { go, location_ } from "../router";
import { type Column, DataTable, compareText } from "../table";
import { Badge, Button, CopyButton, Empty, FilterBox, Link, Loading, PageHead, Waiting, toast } from "../ui";
import { type Job, BulkDialog, collect } from "./kv-bulk";
import { ImportDialog } from "./kv-import";
import { BookmarkButton, Places } from "./kv-places";
import { KeyPanel } from "./kv-key";
import { SearchBelow } from "./kv-search";
import { TreeButton } from "./kv-tree";

interface Row {
  /** The whole key or prefix. */
  path: string;
  name: string;
  folder: boolean;
}

const DETAILS_AT_ONCE = 3;

export function Crumbs({ dc, path, last = false }: { dc: string; path: string; last?: boolean }): JSX.Element {
  const segments = path.split("/");
  const name = segments.pop() ?? "";
  let prefix = "";
  return (
    <nav class="crumbs" aria-label="Folders">
      <ol>
        <li><Link to={folderPath(dc, "")}>KV</Link></li>
        {segments.map((segment) => {
          prefix += `${segment}/`;
          return <li key={prefix}><Link to={folderPath(dc, prefix)} title={segment}>{segment || "∅"}</Link></li>;
        })}
        {last && name !== "" && <li><span title={name}>{name}</span></li>}
      </ol>
      {path !== "" && <CopyButton text={path} what="the path" />}
    </nav>
  );
}

/** The names directly below a prefix, of a list of whole keys. */
function grouped(keys: string[], prefix: string): string[] {
  const names = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const slash = key.indexOf("/", prefix.length);
    names.add(slash < 0 ? key : key.slice(0, slash + 1));
  }
  return [...names];
}

export function FolderPage({ dc, prefix }: { dc: string; prefix: string }): JSX.Element {
  const plain = prefix === "" || isAddressable(prefix);
  const names = useLive<string[]>(keyUrl(plain ? prefix : addressablePart(prefix)), {
    query: plain ? { keys: "", separator: "/" } : { keys: "" },
  });
  const [selected, setSelected] = useState<Set<string>>(new Set());
  const [job, setJob] = useState<Job | null>(null);
  const [importing, setImporting] = useState(false);
  const details = useDetails(names.at.value);
  const query = location_.value.query;
  const filter = query.get("filter") ?? "";
  const kinds = query.get("kind") ?? "";
  const searching = query.get("below") === "1";

  const data = names.data.value;
  const there = data !== undefined;
  useEffect(() => {
    if (there) visited(prefix);
  }, [prefix, there]);
  const rows = useMemo<Row[]>(
    () =>
      (plain ? (data ?? []) : grouped(data ?? [], prefix))
        .filter((path) => path !== prefix)
        .map((path) => ({ path, name: path.slice(prefix.length), folder: path.endsWith("/") })),
    [data, prefix],
  );
  const shown = useMemo(() => {
    const match = matcher(filter);
    return rows.filter((row) => match({ text: row.name }) && passes("kind", row.folder ? "folder" : "key"));
  }, [rows, filter, kinds]);
  const chosen = useMemo(() => rows.filter(({ path }) => selected.has(path)), [rows, selected]);
  const isKey = data?.includes(prefix) ?? false;
  const title = prefix === "" ? "Key/Value" : (prefix.slice(0, -1).split("/").pop() ?? "") || "∅";

  const toggle = (path: string) => {
    const next = new Set(selected);
    if (!next.delete(path)) next.add(path);
    setSelected(next);
  };
  const exportAll = async (prefixes: string[]) => {
    const entries = prefixes.includes("") ? await listBelow("") : await collect(prefixes);
    download(`${(prefix || "kv").replace(/[^\w.-]+/g, "-").replace(/^-|-$/g, "")}.json`, exportText(entries), "application/json");
    toast(`Exported ${plural(entries.length, "key")}`);
  };

  const changed = useChanged(data ? rows : undefined, ({ path }) => path, ({ path }) => String(details.get(path)?.ModifyIndex ?? ""), details.version);
  const allShown = shown.length > 0 && shown.every(({ path }) => selected.has(path));
  const columns: Column<Row>[] = [
    {
      id: "select", title: "", width: "2.25rem",
      render: (row) => (
        <input type="checkbox" checked={selected.has(row.path)} onChange={() => toggle(row.path)} aria-label={`Select ${row.name}`} />
      ),
    },
    {
      id: "Key", title: "Name", width: "minmax(0, 5fr)", main: true, sort: (a, b) => compareText(a.name, b.name),
      render: (row) => (
        <Link class="row-link" data-row to={row.folder ? folderPath(dc, row.path) : keyPath(dc, row.path)} title={row.name}>
          <Icon name={row.folder ? "folder" : "key"} className={row.folder ? "folder" : ""} />
          <span class="ellipsis">{row.name === "/" ? "∅/" : row.name}</span>
          <span class="sr-only">{row.folder ? " (folder)" : ""}</span>
        </Link>
      ),
    },
    {
      id: "size", title: "Size", width: "6rem", numeric: true, wideOnly: true,
      render: (row) => details.get(row.path) && formatBytes(valueSize(details.get(row.path)?.Value ?? null)),
    },
    {
      id: "marks", title: "Lock, flags, value", width: "minmax(0, 3fr)",
      render: (row) => <Marks dc={dc} entry={details.get(row.path)} />,
    },
    {
      id: "actions", title: "", width: "5rem",
      render: (row) => (
        <span class="row-actions">
          <CopyButton text={row.path} what={`the path of ${row.name}`} />
          <Button icon="trash" iconOnly kind="small" writes onClick={() => setJob({ kind: "delete", base: prefix, paths: [row.path] })}>
            Delete {row.name}
          </Button>
        </span>
      ),
    },
  ];

  const missing = data === undefined && names.status.value === 404;
  return (
    <>
      <PageHead
        title={title}
        above={<Crumbs dc={dc} path={prefix} />}
        count={data ? plural(rows.length, "entry", "entries") : undefined}
      >
        <Button icon="plus" kind="primary" writes id="create" onClick={() => go(createPath(dc, prefix))}>Create</Button>
        <Button icon="up" writes onClick={() => setImporting(true)}>Import</Button>
        <Button icon="down" onClick={() => void exportAll([prefix])} disabled={missing}>Export</Button>
        {prefix !== "" && (
          <>
            <BookmarkButton path={prefix} />
            <Button icon="move" writes onClick={() => setJob({ kind: "move", base: prefix, paths: [prefix] })} disabled={missing}>Move</Button>
            <Button icon="trash" kind="danger" writes onClick={() => setJob({ kind: "delete", base: prefix, paths: [prefix] })} disabled={missing}>Delete</Button>
          </>
        )}
      </PageHead>

      {isKey && (
        <section class="panel" aria-label="Value of this folder's key">
          <KeyPanel dc={dc} entryKey={prefix} folderToo />
        </section>
      )}

      <div class="toolbar">
        <FilterBox label="Filter this folder" shown={shown.length} total={rows.length} />
        <Facets facets={[{ name: "kind", title: "Kind", values: ["folder", "key"] }]} />
        <TreeButton />
        <SearchBelow dc={dc} prefix={prefix} open={searching} />
      </div>

      {prefix === "" && !searching && <Places dc={dc} />}
      {searching ? null : data === undefined && !missing ? (
        <Waiting what="this folder" error={names.error.value} />
      ) : rows.length === 0 ? (
        <Empty title={prefix === "" ? "There are no keys yet" : isKey ? "There is nothing else in this folder" : `No key begins with ${prefix}`}>
          {prefix === "" ? (
            <p>Keys appear here as soon as somebody writes one: you, by Create, or a Docker engine that was started with <code>--cluster-store</code>. <Link to={paths.docker(dc)}>More about Docker</Link></p>
          ) : (
            !isKey && <Parent dc={dc} prefix={prefix} />
          )}
          <Button icon="plus" kind="primary" writes onClick={() => go(createPath(dc, prefix))}>Create a key {prefix && "here"}</Button>
        </Empty>
      ) : shown.length === 0 ? (
        <NothingFound what="entries" />
      ) : (
        <>
          <div class="selection" role="toolbar" aria-label="Selected entries">
            <label class="check">
              <input
                type="checkbox"
                checked={allShown}
                onChange={() => setSelected(allShown ? new Set() : new Set(shown.map(({ path }) => path)))}
              />
              {chosen.length > 0 ? `${formatNumber(chosen.length)} selected` : "Select all"}
            </label>
            {chosen.length > 0 && (
              <>
                <Button icon="trash" kind="small" writes onClick={() => setJob({ kind: "delete", base: prefix, paths: chosen.map(({ path }) => path) })}>Delete selected</Button>
                <Button icon="move" kind="small" writes onClick={() => setJob({ kind: "move", base: prefix, paths: chosen.map(({ path }) => path) })}>Move selected</Button>
                <Button icon="copy" kind="small" writes onClick={() => setJob({ kind: "copy", base: prefix, paths: chosen.map(({ path }) => path) })}>Copy selected</Button>
                <Button icon="down" kind="small" onClick={() => void exportAll(chosen.map(({ path }) => path))}>Export selected</Button>
              </>
            )}
          </div>
          <DataTable label={`Entries of ${prefix || "the root"}`} columns={columns} rows={shown} rowKey={({ path }) => path} onVisible={details.want} compact changed={changed} />
        </>
      )}

      {job && <BulkDialog dc={dc} job={job} onClose={() => { setJob(null); setSelected(new Set()); }} />}
      {importing && <ImportDialog prefix={prefix} onClose={() => setImporting(false)} />}
    </>
  );
}

function Marks({ dc, entry }: { dc: string; entry?: RawEntry }): JSX.Element | null {
  if (!entry || (!entry.Session && entry.Flags === "0" && !previewOf(entry.Value))) return null;
  return (
    <span class="marks">
      {entry.Session && (
        <Link class="badge lock" to={`${paths.sessions(dc)}?filter=${entry.Session}`} title={`Locked by session ${entry.Session}`}>
          <Icon name="lock" /> locked
        </Link>
      )}
      {entry.Flags !== "0" && <Badge title={`Flags ${entry.Flags}`}>{flagsName(entry.Flags) ? `flags: ${flagsName(entry.Flags)}` : `flags ${entry.Flags}`}</Badge>}
      {!entry.Session && previewOf(entry.Value) && <code class="preview ellipsis">{previewOf(entry.Value)}</code>}
    </span>
  );
}

const PREVIEW_BYTES_MAX = 64;

/** A short value on one line; "" for all others. */
function previewOf(value: string | null): string {
  if (!value || valueSize(value) > PREVIEW_BYTES_MAX) return "";
  const text = new TextDecoder().decode(fromBase64(value));
  return /^[\x20-\x7e]+$/.test(text) ? text : "";
}

function Parent({ dc, prefix }: { dc: string; prefix: string }): JSX.Element | null {
  const [parent, setParent] = useState<string | null>(null);
  useEffect(() => {
    let stopped = false;
    void (async () => {
      let path = prefix;
      while (path !== "") {
        path = path.slice(0, path.slice(0, -1).lastIndexOf("/") + 1);
        const { status } = await call("GET", keyUrl(addressablePart(path)), { query: { keys: "", separator: "/", stale: "" }, accept: [404] });
        if (status !== 404) break;
      }
      if (!stopped) setParent(path);
    })().catch(() => undefined); // the page says already that the agent is gone
    return () => {
      stopped = true;
    };
  }, [prefix]);
  if (parent === null) return <Loading what="the nearest folder" />;
  return <p>The nearest folder that exists: <Link to={folderPath(dc, parent)}>{parent || "the root"}</Link></p>;
}

/** Size, flags and lock of the rows on screen, read a few at a time. */
function useDetails(generation: number): { get: (path: string) => RawEntry | undefined; want: (rows: Row[]) => void; version: number } {
  const entries = useRef(new Map<string, RawEntry>());
  const [version, setVersion] = useState(0);
  const state = useRef({ wanted: [] as string[], running: 0, read: new Map<string, number>(), generation });
  state.current.generation = generation;
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    return () => {
      alive.current = false;
    };
  }, []);

  const pump = () => {
    const own = state.current;
    while (alive.current && own.running < DETAILS_AT_ONCE) {
      const path = own.wanted.shift();
      if (path === undefined) return;
      if (own.read.get(path) === own.generation) continue;
      own.read.set(path, own.generation);
      own.running++;
      void call<RawEntry[]>("GET", keyUrl(path), { query: { stale: "" }, accept: [404] })
        .then(({ data, status }) => {
          if (!alive.current) return;
          if (status === 404) entries.current.delete(path);
          else entries.current.set(path, data[0]);
          setVersion((before) => before + 1);
        })
        .catch(() => own.read.delete(path)) // read again when the list changes; the banner tells what is wrong
        .finally(() => {
          own.running--;
          pump();
        });
    }
  };

  const last = useRef<Row[]>([]);
  const want = (rows: Row[]) => {
    last.current = rows;
    state.current.wanted = rows.filter(({ path, folder }) => !folder && isAddressable(path)).map(({ path }) => path);
    pump();
  };
  useEffect(() => want(last.current), [generation]);
  return { get: (path) => entries.current.get(path), want, version };
}
