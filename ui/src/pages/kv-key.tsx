// One key: reading first, editing on request with check-and-set, and who holds it.
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { asText, fromBase64, imageType } from "../bytes";
import { formatBytes, formatTime } from "../format";
import { draftOf, dropDraft } from "../drafts";
import { type RawEntry, addressablePart, download, flagsName, isAddressable, isOwn, keyUrl } from "../kv";
import { useLive } from "../live";
import { createPath, folderPath, keyPath } from "../paths";
import { visited } from "../places";
import { go, href } from "../router";
import { Button, CopyButton, Empty, Facts, Link, Loading, Notice, PageHead, Waiting, copy } from "../ui";
import { BulkDialog, type Job, parentOf } from "./kv-bulk";
import { DiffText, readable } from "./kv-diff";
import { Editor } from "./kv-editor";
import { BookmarkButton } from "./kv-places";
import { Crumbs } from "./kv-folder";
import { SessionBox } from "./session-box";
import { type View, ValueView, viewsOf } from "./kv-value";

export interface Followed {
  entry: RawEntry | undefined;
  missing: boolean;
  error: Error | null;
  loaded: boolean;
}

/** Follows one key; one that no path can name is followed in a list of keys around it. */
export function useKey(key: string): Followed {
  const plain = isAddressable(key);
  const live = useLive<RawEntry[]>(keyUrl(plain ? key : addressablePart(key)), { query: plain ? {} : { recurse: "" } });
  const entry = live.data.value?.find(({ Key }) => Key === key);
  const loaded = live.at.value > 0;
  return { entry, loaded, missing: loaded && !entry, error: live.error.value };
}

export function KeyPage({ dc, entryKey }: { dc: string; entryKey: string }): JSX.Element {
  const name = entryKey.replace(/\/$/, "").split("/").pop() || entryKey;
  return (
    <>
      <PageHead title={name} above={<Crumbs dc={dc} path={parentOf(entryKey)} />} heading={<span class="break">{name}{entryKey.endsWith("/") && "/"}</span>} />
      <KeyPanel dc={dc} entryKey={entryKey} />
    </>
  );
}

export function KeyPanel({ dc, entryKey, folderToo = false }: { dc: string; entryKey: string; folderToo?: boolean }): JSX.Element {
  const { entry, missing, error, loaded } = useKey(entryKey);
  const [editing, setEditing] = useState(false);
  const [last, setLast] = useState<RawEntry | null>(null);
  const [job, setJob] = useState<Job | null>(null);
  useEffect(() => {
    if (entry) setLast(entry);
  }, [entry]);
  const [draft, setDraft] = useState(() => draftOf(entryKey));
  // What stood here when the page was opened, or when a change was looked at or made here.
  const [seen, setSeen] = useState<RawEntry | null>(null);
  useEffect(() => {
    if (entry && (editing || seen?.Key !== entryKey || isOwn(entry))) setSeen(entry);
  }, [entry, editing]);
  useEffect(() => setEditing(false), [entryKey]);
  useEffect(() => {
    if (loaded && !missing) visited(entryKey);
  }, [entryKey, loaded]);

  if (!loaded) return <Waiting what="this key" error={error} />;
  const shown = entry ?? (last?.Key === entryKey ? last : null);
  if (!shown) {
    return folderToo ? <Loading what="the value" /> : (
      <Empty title="This key does not exist">
        <p><code class="break">{entryKey}</code> was never written, or was deleted.</p>
        <p class="actions">
          <Button icon="plus" kind="primary" writes onClick={() => go(`${createPath(dc, "")}?name=${encodeURIComponent(entryKey)}`)}>Create it</Button>
          <Link class="button plain" to={folderPath(dc, parentOf(entryKey))}>Open its folder</Link>
        </p>
      </Empty>
    );
  }
  if (editing) {
    return <Editor key={entryKey} opened={shown} current={entry ?? null} draft={draft} onClose={() => { setEditing(false); setDraft(draftOf(entryKey)); }} />;
  }
  return (
    <>
      {missing && <Notice level="warn" title="This key was deleted elsewhere while it was open. This was its last value." />}
      {draft && !missing && (
        <Notice level="warn" title={`A draft of this value is kept in this tab since ${formatTime(draft.at)}.`}>
          <p class="actions">
            <Button kind="small" writes onClick={() => setEditing(true)}>Go on editing</Button>
            <Button kind="small" onClick={() => { dropDraft(entryKey); setDraft(null); }}>Discard the draft</Button>
          </p>
        </Notice>
      )}
      {entry && seen && seen.Key === entryKey && entry.ModifyIndex > seen.ModifyIndex && !isOwn(entry) && entry.Value !== seen.Value && (
        <ChangedElsewhere before={seen} after={entry} onSeen={() => setSeen(entry)} />
      )}
      {folderToo && <h2>This folder is also a key</h2>}
      <div class="toolbar">
        <Button icon="edit" kind="primary" id={folderToo ? "edit-folder" : "edit"} writes disabled={missing} onClick={() => setEditing(true)}>Edit</Button>
        <Button icon="move" writes disabled={missing} onClick={() => setJob({ kind: "move", base: parentOf(entryKey), paths: [entryKey] })}>Rename</Button>
        <Button icon="copy" writes disabled={missing} onClick={() => setJob({ kind: "copy", base: parentOf(entryKey), paths: [entryKey] })}>Duplicate</Button>
        {!folderToo && <BookmarkButton path={entryKey} />}
        <Button icon="down" onClick={() => download(nameOf(entryKey), fromBase64(shown.Value) as BlobPart)}>Download</Button>
        <Button icon="trash" kind="danger" writes disabled={missing} onClick={() => setJob({ kind: "delete", base: parentOf(entryKey), paths: [entryKey] })}>{folderToo ? "Delete this key alone" : "Delete"}</Button>
      </div>
      {entry?.Session && <SessionBox dc={dc} id={entry.Session} heldKey={entryKey} />}
      <Value entry={shown} />
      <Meta dc={dc} entry={shown} />
      {job && <SingleDialog dc={dc} job={job} onClose={() => setJob(null)} />}
    </>
  );
}

function ChangedElsewhere({ before, after, onSeen }: { before: RawEntry; after: RawEntry; onSeen: () => void }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <Notice level="warn" title="This value was changed elsewhere while it was open. The new one is shown.">
      <p class="actions">
        <Button kind="small" pressed={open} onClick={() => setOpen(!open)}>Show what changed</Button>
        <Button kind="small" onClick={onSeen}>Dismiss</Button>
      </p>
      {open && <DiffText label="What changed" before={readable(fromBase64(before.Value))} after={readable(fromBase64(after.Value))} />}
    </Notice>
  );
}

/** A key that ends in a slash is meant alone here, not what is below it. */
function SingleDialog({ dc, job, onClose }: { dc: string; job: Job; onClose: () => void }): JSX.Element {
  return <BulkDialog dc={dc} job={{ ...job, alone: true }} onClose={onClose} />;
}

const nameOf = (key: string) => key.replace(/\/+$/, "").split("/").pop() || "value";

function Value({ entry }: { entry: RawEntry }): JSX.Element {
  const bytes = useMemo(() => fromBase64(entry.Value), [entry.Value]);
  const views = useMemo(() => viewsOf(entry.Key, bytes), [entry.Key, bytes]);
  const [chosen, setChosen] = useState<View | null>(null);
  const view = chosen && views.includes(chosen) ? chosen : views[0];
  const text = asText(bytes);
  return (
    <section class="value" aria-label="Value">
      <div class="value-head">
        <div class="segmented" role="group" aria-label="Show the value as">
          {views.map((each) => (
            <button key={each} type="button" aria-pressed={each === view} onClick={() => setChosen(each)}>{each}</button>
          ))}
        </div>
        <span class="hint">{formatBytes(bytes.length)}{imageType(bytes) && `, ${imageType(bytes)}`}{text === null && !imageType(bytes) && ", not text"}</span>
        {text !== null && bytes.length > 0 && <CopyButton text={text} what="the value" />}
      </div>
      <ValueView bytes={bytes} view={view} />
    </section>
  );
}

function Meta({ dc, entry }: { dc: string; entry: RawEntry }): JSX.Element {
  const url = `${window.location.origin}/v1/${keyUrl(entry.Key)}`;
  const link = window.location.origin + href(keyPath(dc, entry.Key));
  const quoted = `'${entry.Key.replaceAll("'", "'\\''")}'`;
  return (
    <section aria-label="About this key">
      <Facts
        facts={[
          ["Key", <><code class="break">{entry.Key}</code> <CopyButton text={entry.Key} what="the key" /></>],
          ["Flags", `${entry.Flags}${flagsName(entry.Flags) ? ` (${flagsName(entry.Flags)})` : ""}`],
          ["Created at index", entry.CreateIndex],
          ["Changed at index", entry.ModifyIndex],
          ["Locked", entry.LockIndex === 0 ? "never" : entry.LockIndex === 1 ? "once so far" : `${entry.LockIndex} times so far`],
        ]}
      />
      <p class="actions">
        <Button icon="link" kind="small" onClick={() => void copy(link, "the link")}>Copy link</Button>
        {isAddressable(entry.Key) && <Button icon="copy" kind="small" onClick={() => void copy(`curl ${url.includes("'") ? `"${url}?raw"` : `'${url}?raw'`}`, "the curl command")}>Copy as curl</Button>}
        <Button icon="copy" kind="small" onClick={() => void copy(`consul kv get ${quoted}`, "the command")}>Copy as command</Button>
        {isAddressable(entry.Key) && <Button icon="copy" kind="small" onClick={() => void copy(`import urllib.request\nvalue = urllib.request.urlopen(${JSON.stringify(`${url}?raw`)}).read()\n`, "the Python code")}>Copy as Python</Button>}
        {isAddressable(entry.Key) && <a class="button small" href={`/v1/${keyUrl(entry.Key)}?raw`} target="_blank" rel="noopener noreferrer">Raw value</a>}
      </p>
    </section>
  );
}

/** A hand-typed path without /edit: the folder if there is one (Docker writes a key `docker/nodes` too), else the key. */
export function GuessPage({ dc, entryKey }: { dc: string; entryKey: string }): JSX.Element {
  const names = useLive<string[]>(keyUrl(addressablePart(entryKey)), { query: { keys: "" } });
  const found = names.at.value > 0;
  const list = names.data.value ?? [];
  const isKey = list.includes(entryKey) && !list.some((name) => name.startsWith(`${entryKey}/`));
  useEffect(() => {
    if (found) go(isKey ? keyPath(dc, entryKey) : folderPath(dc, `${entryKey}/`), true);
  }, [found, isKey]);
  return <Waiting what={entryKey} error={names.error.value} />;
}
