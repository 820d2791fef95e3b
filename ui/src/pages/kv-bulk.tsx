// Deleting, moving and copying many keys: what will happen, progress, and a way back.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../api";
import { formatBytes, plural } from "../format";
import { type Progress, type RawEntry, type Write, commonFolder, copying, deletion, listBelow, moving, readKey, restoring, valueSize, writeAll } from "../kv";
import { folderPath, keyPath } from "../paths";
import { go, location_ } from "../router";
import { Button, Dialog, Loading, Notice, toast } from "../ui";

export interface Job {
  kind: "delete" | "move" | "copy";
  /** The folder that is looked at. */
  base: string;
  /** Keys, and folders (with a slash at the end). */
  paths: string[];
  /** A path with a slash at its end means that one key, not what is below it. */
  alone?: boolean;
}

const TYPED_FROM = 20;
const UNDO_BYTES_MAX = 32 * 1024 * 1024;
const SAMPLE = 8;
const ONE_BY_ONE_MAX = 20;

const VERBS = { delete: ["Delete", "Deleted"], move: ["Move", "Moved"], copy: ["Copy", "Copied"] } as const;

/** The entries behind keys and folders. Many keys of one folder are read by listing that folder once. */
export async function collect(paths: string[], alone = false): Promise<RawEntry[]> {
  const found = new Map<string, RawEntry>();
  const keys = new Set(paths.filter((path) => alone || !path.endsWith("/")));
  const prefixes = paths.filter((path) => !keys.has(path));
  if (keys.size > ONE_BY_ONE_MAX) {
    for (const entry of await listBelow(commonFolder([...keys]))) if (keys.has(entry.Key)) found.set(entry.Key, entry);
  } else {
    for (const key of keys) {
      const entry = await readKey(key);
      if (entry) found.set(key, entry);
    }
  }
  for (const prefix of prefixes) for (const entry of await listBelow(prefix)) found.set(entry.Key, entry);
  return [...found.values()];
}

export function BulkDialog({ dc, job, onClose }: { dc: string; job: Job; onClose: () => void }): JSX.Element {
  const [entries, setEntries] = useState<RawEntry[] | null>(null);
  const [error, setError] = useState("");
  const [progress, setProgress] = useState<Progress | null>(null);
  const [stopper] = useState(() => new AbortController());
  const whole = job.paths.length === 1 && job.paths[0] === job.base && job.base !== "";
  const single = job.paths.length === 1 && (job.alone === true || !job.paths[0].endsWith("/"));
  const only = job.paths.length === 1 ? job.paths[0] : "";
  const [target, setTarget] = useState(only || job.base);
  const [typed, setTyped] = useState("");
  const segment = only.replace(/\/$/, "").split("/").pop() ?? "";
  const mustType = job.kind === "delete" && (entries?.length ?? 0) > TYPED_FROM;
  const [verb, past] = VERBS[job.kind];

  useEffect(() => {
    let stopped = false;
    collect(job.paths, job.alone).then(
      (found) => !stopped && setEntries(found),
      (problem) => !stopped && setError(errorText(problem)),
    );
    return () => {
      stopped = true;
      stopper.abort();
    };
  }, []);

  const renamed = (key: string): string => {
    if (single) return target;
    const to = target === "" || target.endsWith("/") ? target : `${target}/`;
    return to + key.slice(only ? only.length : job.base.length);
  };

  const run = async () => {
    if (!entries) return;
    const groups: Write[][] = entries.map((entry) =>
      job.kind === "delete" ? deletion(entry) : job.kind === "move" ? moving(entry, renamed(entry.Key)) : copying(entry, renamed(entry.Key)),
    );
    setProgress({ done: 0, total: groups.length, failed: [] });
    try {
      const result = await writeAll(groups, setProgress, stopper.signal);
      finished(entries, result);
    } catch (problem) {
      setError(errorText(problem));
    }
  };

  const finished = (done: RawEntry[], result: Progress) => {
    const failed = new Set(result.failed.map(({ key }) => key));
    const kept = done.slice(0, result.done).filter((entry) => !failed.has(entry.Key) && !failed.has(renamed(entry.Key)));
    const bytes = kept.reduce((sum, entry) => sum + valueSize(entry.Value), 0);
    const what = single ? `${past} ${only}` : `${past} ${plural(kept.length, "key")}`;
    const undo = job.kind === "delete" && bytes <= UNDO_BYTES_MAX
      ? { label: "Undo", run: () => void restore(kept) }
      : undefined;
    if (result.failed.length === 0) {
      toast(what, "ok", undo);
      onClose();
      if (single && location_.value.route.page === "key") go(job.kind === "delete" ? folderPath(dc, job.base) : keyPath(dc, target));
      if (whole && job.kind === "delete" && location_.value.route.page !== "folder") go(folderPath(dc, parentOf(job.base)));
      if (job.kind === "move" && whole) go(folderPath(dc, renamed(job.base)));
    } else toast(`${what}, ${plural(result.failed.length, "failure")}`, "warn", undo);
  };

  const colliding = job.kind !== "delete" && entries?.some((entry) => renamed(entry.Key) === entry.Key);
  const inside = job.kind === "move" && !single && only.endsWith("/") && renamed(only).startsWith(only);
  const title = only ? `${verb} ${only}` : `${verb} ${plural(job.paths.length, "entry", "entries")}`;
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">
        {error && <Notice level="bad" title={error} />}
        {entries === null ? !error && <Loading what="the keys" /> : (
          <>
            <p>
              {single
                ? <>This {job.kind === "delete" ? "deletes" : `${job.kind === "move" ? "moves" : "copies"}`} the key <code class="break">{only}</code>{entries[0] && ` (${formatBytes(valueSize(entries[0].Value))})`}.</>
                : <>This concerns <strong>{plural(entries.length, "key")}</strong>{only && <> that begin with <code class="break">{only}</code></>}.</>}
            </p>
            {!single && (
              <ul class="sample">
                {entries.slice(0, SAMPLE).map(({ Key }) => <li key={Key}><code class="break">{Key}</code></li>)}
                {entries.length > SAMPLE && <li>and {plural(entries.length - SAMPLE, "more", "more")}</li>}
              </ul>
            )}
            {entries.some(({ Session }) => Session) && <Notice level="warn" title="Some of these keys are locked by a session. Deleting or moving them takes the lock away." />}
            {job.kind !== "delete" && (
              <label class="field">
                <span>{single ? "New name of the key" : "To the folder"}</span>
                <input value={target} onInput={(event) => setTarget(event.currentTarget.value)} spellcheck={false} autocomplete="off" />
              </label>
            )}
            {job.kind !== "delete" && !single && entries[0] && <p class="hint">For example <code class="break">{entries[0].Key}</code> becomes <code class="break">{renamed(entries[0].Key)}</code>. Keys that exist already stay as they are, and are reported.</p>}
            {mustType && (
              <label class="field">
                <span>Type <code>{segment || "delete"}</code> to confirm</span>
                <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} spellcheck={false} autocomplete="off" />
              </label>
            )}
            {progress && (
              <div role="status">
                <progress value={progress.done} max={progress.total} aria-label={`${verb} keys`} />
                <p>{progress.done} of {progress.total}{progress.failed.length > 0 && `, ${progress.failed.length} failed`}</p>
              </div>
            )}
            {progress && progress.failed.length > 0 && (
              <ul class="sample">{progress.failed.slice(0, 20).map(({ key, why }) => <li key={key}><code class="break">{key}</code>: {why}</li>)}</ul>
            )}
          </>
        )}
      </div>
      <div class="dialog-actions">
        <Button onClick={onClose}>{progress ? "Close" : "Cancel"}</Button>
        {!progress && (
          <Button
            kind={job.kind === "delete" ? "danger" : "primary"}
            writes
            disabled={!entries || entries.length === 0 || (mustType && typed !== (segment || "delete")) || colliding || inside}
            onClick={() => void run()}
          >
            {single ? verb : `${verb} ${plural(entries?.length ?? 0, "key")}`}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

export async function restore(entries: RawEntry[]): Promise<void> {
  try {
    const { failed } = await writeAll(entries.map(restoring), () => undefined);
    if (failed.length === 0) toast(`Restored ${entries.length === 1 ? entries[0].Key : plural(entries.length, "key")}`);
    else toast(`${plural(failed.length, "key")} could not be restored: ${failed[0].why}`, "bad");
  } catch (error) {
    toast(`Could not restore: ${errorText(error)}`, "bad");
  }
}

export function parentOf(path: string): string {
  return path.slice(0, path.replace(/\/$/, "").lastIndexOf("/") + 1);
}
