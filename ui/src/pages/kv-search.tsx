// Search below a folder, in names and (within a budget of bytes) in values.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../api";
import { asText, fromBase64 } from "../bytes";
import { formatBytes, plural } from "../format";
import { Icon } from "../icons";
import { addressablePart, keyUrl, listBelow, listNames, valueSize } from "../kv";
import { call } from "../api";
import { keyPath } from "../paths";
import { location_, setQuery } from "../router";
import { type Column, DataTable } from "../table";
import { Button, Empty, Link, Loading, Notice } from "../ui";

const VALUES_BYTES_MAX = 16 * 1024 * 1024;
const VALUES_KEYS_MAX = 20_000;
const HITS_MAX = 100_000;

interface Hit {
  key: string;
  excerpt: string;
}

export function SearchBelow({ dc, prefix, open }: { dc: string; prefix: string; open: boolean }): JSX.Element {
  return (
    <>
      <Button icon="search" pressed={open} onClick={() => setQuery("below", open ? "" : "1")}>
        {open ? "Back to the folder" : "Search below"}
      </Button>
      {open && <SearchPanel dc={dc} prefix={prefix} />}
    </>
  );
}

export function SearchPanel({ dc, prefix, name = "q" }: { dc: string; prefix: string; name?: string }): JSX.Element {
  const text = location_.value.query.get(name) ?? "";
  const values = location_.value.query.get("values") === "1";
  const [hits, setHits] = useState<Hit[] | null>(null);
  const [note, setNote] = useState("");
  const [error, setError] = useState("");

  useEffect(() => {
    let stopped = false;
    setError("");
    setHits(null);
    const timer = setTimeout(() => {
      search(prefix, text, values).then(
        (found) => {
          if (stopped) return;
          setHits(found.hits);
          setNote(found.note);
        },
        (problem) => !stopped && setError(errorText(problem)),
      );
    }, 200);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [prefix, text, values]);

  const columns: Column<Hit>[] = [
    {
      id: "Key", title: "Key", main: true, width: "minmax(0, 3fr)",
      render: ({ key }) => (
        <Link class="row-link" data-row to={keyPath(dc, key)} title={key}>
          <Icon name="key" />
          <span class="ellipsis">{key.slice(prefix.length) || key}</span>
        </Link>
      ),
    },
    { id: "excerpt", title: "In the value", width: "minmax(0, 2fr)", render: ({ excerpt }) => excerpt && <code class="ellipsis preview">{excerpt}</code> },
  ];

  return (
    <section class="search-panel" aria-label="Search below this folder">
      <div class="search-row">
        <input
          type="search"
          aria-label={prefix ? `Search all keys below ${prefix}` : "Search all keys"}
          placeholder="Part of a key"
          value={text}
          spellcheck={false}
          onInput={(event) => setQuery(name, event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={values} onChange={(event) => setQuery("values", event.currentTarget.checked ? "1" : "")} />
          in values too
        </label>
      </div>
      {error && <Notice level="bad" title={error} />}
      {hits === null ? (
        !error && <Loading what="matching keys" />
      ) : (
        <>
          <p role="status" class="hint">{text === "" ? `${plural(hits.length, "key")}, in all folders` : plural(hits.length, "match", "matches")}. {note}</p>
          {hits.length > 0 ? <DataTable label="Matching keys" columns={columns} rows={hits} rowKey={({ key }) => key} /> : <Empty title={text === "" ? "There are no keys here" : `Nothing contains “${text}”`} />}
        </>
      )}
    </section>
  );
}

async function search(prefix: string, text: string, values: boolean): Promise<{ hits: Hit[]; note: string }> {
  const wanted = text.toLowerCase();
  if (!values || text === "") {
    const names = await listNames(prefix);
    const hits = names.filter((key) => key.slice(prefix.length).toLowerCase().includes(wanted));
    return { hits: hits.slice(0, HITS_MAX).map((key) => ({ key, excerpt: "" })), note: cut(hits.length) };
  }
  const { data } = await call<string[] | null>("GET", keyUrl(addressablePart(prefix)), { query: { keys: "", stale: "" }, accept: [404] });
  const count = data?.length ?? 0;
  if (count > VALUES_KEYS_MAX)
    return { hits: [], note: `There are ${count} keys here, too many to search in values: open a folder with fewer than ${VALUES_KEYS_MAX}.` };
  const hits: Hit[] = [];
  let bytes = 0;
  let skipped = 0;
  for (const entry of await listBelow(prefix)) {
    const named = entry.Key.slice(prefix.length).toLowerCase().includes(wanted);
    bytes += valueSize(entry.Value);
    let excerpt = "";
    if (bytes > VALUES_BYTES_MAX) skipped++;
    else {
      const value = asText(fromBase64(entry.Value)) ?? "";
      const at = value.toLowerCase().indexOf(wanted);
      if (at >= 0) excerpt = value.slice(Math.max(0, at - 20), at + text.length + 40);
    }
    if (named || excerpt) hits.push({ key: entry.Key, excerpt });
  }
  const budget = skipped > 0 ? `The values of ${plural(skipped, "key")} were not searched: the budget of ${formatBytes(VALUES_BYTES_MAX)} was used up.` : "";
  return { hits: hits.slice(0, HITS_MAX), note: `${cut(hits.length)}${budget}` };
}

const cut = (count: number) => (count > HITS_MAX ? `The first ${HITS_MAX} are shown. ` : "");
