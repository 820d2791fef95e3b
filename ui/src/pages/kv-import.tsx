// Import of an export: shows what is new, changed or the same before anything is written.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { errorText } from "../api";
import { plural } from "../format";
import { type Difference, type Progress, commonFolder, compare, listBelow, readExport, writeAll } from "../kv";
import { Button, Dialog, Notice, toast } from "../ui";

const SHOWN = 12;

export function ImportDialog({ prefix, onClose }: { prefix: string; onClose: () => void }): JSX.Element {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Difference[] | null>(null);
  const [error, setError] = useState("");
  const [overwrite, setOverwrite] = useState(false);
  const [under, setUnder] = useState(false);
  const [progress, setProgress] = useState<Progress | null>(null);

  const look = async (content: string, below: boolean) => {
    setError("");
    setFound(null);
    try {
      const items = readExport(content).map((item) => ({ ...item, key: below ? prefix + item.key : item.key }));
      const common = commonFolder(items.map(({ key }) => key));
      const current = new Map((await listBelow(common)).map((entry) => [entry.Key, entry]));
      setFound(compare(items, current));
    } catch (problem) {
      setError(errorText(problem));
    }
  };
  const chosen = (found ?? []).filter(({ kind }) => kind === "new" || (kind === "changed" && overwrite));
  const count = (kind: Difference["kind"]) => (found ?? []).filter((each) => each.kind === kind).length;

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
            <p role="status"><strong>{count("new")} new</strong>, {count("changed")} changed, {count("same")} the same.</p>
            {count("changed") > 0 && (
              <label class="check">
                <input type="checkbox" checked={overwrite} onChange={(event) => setOverwrite(event.currentTarget.checked)} />
                Overwrite the {plural(count("changed"), "key")} that differ
              </label>
            )}
            <ul class="sample">
              {found.filter(({ kind }) => kind !== "same").slice(0, SHOWN).map(({ item, kind }) => <li key={item.key}>{kind}: <code class="break">{item.key}</code></li>)}
            </ul>
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
