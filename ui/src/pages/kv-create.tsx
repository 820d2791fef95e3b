// A new key, or a folder: made only if nothing is there yet.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../api";
import { EMPTY } from "../bytes";
import { putKey, readKey } from "../kv";
import { folderPath, keyPath } from "../paths";
import { go, location_, setGuard } from "../router";
import { Button, Link, Notice, PageHead, toast } from "../ui";
import { Crumbs } from "./kv-folder";
import { type Draft, ValueField } from "./kv-editor";

export function CreatePage({ dc, prefix }: { dc: string; prefix: string }): JSX.Element {
  const [name, setName] = useState(location_.value.query.get("name") ?? "");
  const [draft, setDraft] = useState<Draft>({ bytes: EMPTY, problem: "" });
  const [withValue, setWithValue] = useState(false);
  const [exists, setExists] = useState("");
  const [error, setError] = useState("");
  const [saving, setSaving] = useState(false);
  const key = prefix + name;
  const folder = name.endsWith("/");
  const dirty = name !== "" || (draft.bytes?.length ?? 0) > 0;

  useEffect(() => {
    setGuard(() => (dirty ? "The new key is not saved. Leaving loses what you typed." : ""));
    return () => setGuard(null);
  }, [dirty]);
  useEffect(() => {
    setExists("");
    if (name === "") return undefined;
    let stopped = false;
    const timer = setTimeout(() => {
      readKey(key).then(
        (entry) => !stopped && setExists(entry ? key : ""),
        () => undefined, // saving will tell
      );
    }, 250);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [key]);

  const save = async () => {
    const value = folder && !withValue ? EMPTY : draft.bytes;
    if (name === "" || value === null) return;
    setSaving(true);
    setError("");
    try {
      if (await putKey(key, value, "0", 0)) {
        setGuard(null);
        toast(`Created ${key}`);
        go(folder ? folderPath(dc, key) : keyPath(dc, key));
      } else setExists(key);
    } catch (problem) {
      setError(errorText(problem));
    } finally {
      setSaving(false);
    }
  };

  return (
    <>
      <PageHead title="Create a key" above={<Crumbs dc={dc} path={prefix} />} />
      <form
        class="panel"
        onSubmit={(event) => { event.preventDefault(); void save(); }}
        onKeyDown={(event) => {
          if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") { event.preventDefault(); void save(); }
        }}
      >
        <label class="field">
          <span>Name{prefix && <>, below <code class="break">{prefix}</code></>}</span>
          <input autoFocus value={name} onInput={(event) => setName(event.currentTarget.value)} spellcheck={false} autocomplete="off" aria-describedby="create-hint" />
        </label>
        <p class="hint" id="create-hint">
          {name === "" ? "Slashes make folders; a slash at the end makes a folder alone." : <>The key will be <code class="break">{key}</code></>}
        </p>
        {exists !== "" && exists === key && (
          <Notice level="warn" title="This key exists already. Nothing was overwritten.">
            <Link to={keyPath(dc, key)}>Open it</Link>
          </Notice>
        )}
        {folder && (
          <label class="check">
            <input type="checkbox" checked={withValue} onChange={(event) => setWithValue(event.currentTarget.checked)} />
            The folder has a value of its own
          </label>
        )}
        {(!folder || withValue) && <ValueField initial={EMPTY} label="Value" isJson={name.endsWith(".json")} onChange={setDraft} />}
        {draft.problem && <p class="problem" role="status">{draft.problem}</p>}
        {error && <Notice level="bad" title={error} />}
        <div class="toolbar">
          <Button kind="primary" writes disabled={name === "" || saving || draft.bytes === null} onClick={() => void save()}>{folder ? "Create the folder" : "Create the key"}</Button>
          <Link class="button plain" to={folderPath(dc, prefix)}>Cancel</Link>
        </div>
      </form>
    </>
  );
}
