// Import of an export: shows what is new, changed or the same before anything is written.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { errorText } from "../api";
import { plural } from "../format";
import { fromBase64 } from "../bytes";
import { type Difference, type Imported, type Progress, commonFolder, compare, listBelow, readExport, writeAll } from "../kv";
import { Button, Dialog, Notice, toast } from "../ui";
import { DiffText, readable } from "./kv-diff";

const NEW_SHOWN = 12;
const CHANGED_SHOWN = 100;

export function ImportDialog({ prefix, onClose }: { prefix: string; onClose: () => void }): JSX.Element {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Difference[] | null>(null);
  const [error, setError] = useState("");
  const [overwrite, setOverwrite] = useState(false);
  const [twice, setTwice] = useState(0);
  const [under, setUnder] = useState(false);
  const [progress, setProgress] = useState<Progress | null>(null);

  const look = async (content: string, below: boolean) => {
    setError("");
    setFound(null);
    try {
      const all = readExport(content).map((item): [string, Imported] => [below ? prefix + item.key : item.key, item]);
      // A key that occurs twice counts as it is written last, as with `consul kv import`.
      const items = [...new Map(all)].map(([key, item]) => ({ ...item, key }));
      setTwice(all.length - items.length);
      const common = commonFolder(items.map(({ key }) => key));
      const current = new Map((await listBelow(common)).map((entry) => [entry.Key, entry]));
      setFound(compare(items, current));
    } catch (problem) {
      setError(errorText(problem));
    }
  };
  const chosen = (found ?? []).filter(({ kind }) => kind === "new" || (kind === "changed" && overwrite));
  const of = (kind: Difference["kind"]) => (found ?? []).filter((each) => each.kind === kind);
  const count = (kind: Difference["kind"]) => of(kind).length;

  const run = async () => {
    try {
      const result = await writeAll(
        chosen.map(({ item, current }) => [
          { verb: "cas", key: item.key, value: item.value, flags: item.flags, index: current?.ModifyIndex ?? 0 },
        ]),
        setProgress,
      );
      if (result.failed.length > 0) setError(`${plural(result.failed.length, "key")} failed. ${result.failed[0].key}: ${result.failed[0].why}`);
      else {
        toast(`Imported ${plural(chosen.length, "key")}`);
        onClose();
      }
    } catch (problem) {
      setError(errorText(problem));
    }
  };

  return (
    <Dialog title="Import keys" onClose={onClose} wide>
      <div class="dialog-body">
        <p>A file as <code>consul kv export</code> or Export on this page writes it.</p>
        <label class="field">
          <span>File</span>
          <input
            type="file"
            accept=".json,application/json"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file) void file.text().then((content) => { setText(content); void look(content, under); });
            }}
          />
        </label>
        <label class="field">
          <span>or its text</span>
          <textarea rows={5} value={text} spellcheck={false} onInput={(event) => setText(event.currentTarget.value)} onBlur={() => text && void look(text, under)} />
        </label>
        {prefix !== "" && (
          <label class="check">
            <input type="checkbox" checked={under} onChange={(event) => { setUnder(event.currentTarget.checked); if (text) void look(text, event.currentTarget.checked); }} />
            Put the keys below {prefix}
          </label>
        )}
        {error && <Notice level="bad" title={error} />}
        {found && (
          <>
            <p role="status"><strong>{count("new")} new</strong>, {count("changed")} changed, {count("same")} the same.{twice > 0 && ` ${plural(twice, "entry", "entries")} of the file are repeated later in it, and the last counts.`}</p>
            {count("changed") > 0 && (
              <label class="check">
                <input type="checkbox" checked={overwrite} onChange={(event) => setOverwrite(event.currentTarget.checked)} />
                Overwrite the {plural(count("changed"), "key")} that differ
              </label>
            )}
            {count("changed") > 0 && (
              <section aria-label="Values that differ">
                {of("changed").slice(0, CHANGED_SHOWN).map((each) => <Changed key={each.item.key} {...each} />)}
                {count("changed") > CHANGED_SHOWN && <p class="hint">and {plural(count("changed") - CHANGED_SHOWN, "more", "more")}</p>}
              </section>
            )}
            {count("new") > 0 && (
              <ul class="sample">
                {of("new").slice(0, NEW_SHOWN).map(({ item }) => <li key={item.key}>new: <code class="break">{item.key}</code></li>)}
                {count("new") > NEW_SHOWN && <li>and {plural(count("new") - NEW_SHOWN, "more", "more")}</li>}
              </ul>
            )}
          </>
        )}
        {progress && <progress value={progress.done} max={progress.total} aria-label="Import" />}
      </div>
      <div class="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        {found ? (
          <Button kind="primary" writes disabled={chosen.length === 0 || progress !== null} onClick={() => void run()}>Import {plural(chosen.length, "key")}</Button>
        ) : (
          <Button kind="primary" disabled={text === ""} onClick={() => void look(text, under)}>Check</Button>
        )}
      </div>
    </Dialog>
  );
}

/** What is stored against what the file has, to be unfolded. */
function Changed({ item, current }: Difference): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <code class="break">{item.key}</code>
        {current?.Session && <span class="hint"> (locked by a session)</span>}
      </summary>
      {open && current && (
        <>
          {current.Flags !== item.flags && <p>Flags: {current.Flags} becomes {item.flags}</p>}
          <DiffText label={`Stored and new value of ${item.key}`} before={readable(fromBase64(current.Value))} after={readable(item.value)} />
        </>
      )}
    </details>
  );
}
