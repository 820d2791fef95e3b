// Editing a value: check-and-set against what was opened, and both versions side by side when somebody was faster.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { errorText } from "../api";
import { asText, equal, fromBase64, fromText, toBase64 } from "../bytes";
import { readOnlyReason } from "../cluster";
import { dropDraft, type Kept, keepDraft } from "../drafts";
import { formatBytes } from "../format";
import { formatJson, jsonProblem } from "../json";
import { type RawEntry, VALUE_BYTES_MAX, flagsName, putKey, readKey } from "../kv";
import { leaving, setGuard } from "../router";
import { wrap } from "../settings";
import { Button, Notice, toast } from "../ui";
import { DiffSide, readable } from "./kv-diff";

const UNSAVED = "The changes to this value are not saved. What you typed stays in this tab as a draft until it is closed.";
const CANCEL = "The changes to this value are not saved. Cancelling loses what you typed.";
const DRAFT_MS = 300;

/** Text fields turn every line end into LF; what they cannot give back is edited as base64. */
type LineEnds = "LF" | "CR LF" | "mixed";

function lineEnds(text: string): LineEnds {
  const crlf = text.match(/\r\n/g)?.length ?? 0;
  const cr = text.match(/\r/g)?.length ?? 0;
  const lf = text.match(/\n/g)?.length ?? 0;
  if (cr === 0) return "LF";
  return cr === crlf && lf === crlf ? "CR LF" : "mixed";
}

export interface Draft {
  bytes: Uint8Array | null;
  problem: string;
}

interface FieldProps {
  initial: Uint8Array;
  label: string;
  /** JSON is checked when it is meant to be JSON. */
  isJson: boolean;
  onChange: (draft: Draft) => void;
  focus?: boolean;
}

/** Text, base64 or a file, as bytes. */
export function ValueField({ initial, label, isJson, onChange, focus }: FieldProps): JSX.Element {
  const text = useMemo(() => asText(initial), [initial]);
  const ends = text === null ? "mixed" : lineEnds(text);
  const editable = text !== null && ends !== "mixed";
  const [mode, setMode] = useState<"Text" | "Base64">(editable ? "Text" : "Base64");
  const [shown, setShown] = useState(editable ? (text as string).replaceAll("\r\n", "\n") : toBase64(initial));
  const [file, setFile] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (focus) field.current?.focus();
  }, []);

  const changed = (value: string, how: "Text" | "Base64") => {
    setShown(value);
    setFile("");
    onChange(read(value, how));
  };
  const read = (value: string, how: "Text" | "Base64"): Draft => {
    if (how === "Text") return { bytes: fromText(ends === "CR LF" ? value.replaceAll("\n", "\r\n") : value), problem: "" };
    try {
      return { bytes: fromBase64(value.replace(/\s+/g, "")), problem: "" };
    } catch {
      return { bytes: null, problem: "This is no base64 text" };
    }
  };
  const switchTo = (how: "Text" | "Base64") => {
    const { bytes } = read(shown, mode);
    if (!bytes) return;
    if (how === "Text") {
      const back = asText(bytes);
      if (back === null || lineEnds(back) === "mixed") {
        toast("These bytes are no text that a text field can keep", "warn");
        return;
      }
      setShown(back.replaceAll("\r\n", "\n"));
    } else setShown(toBase64(bytes));
    setMode(how);
  };
  const problem = isJson && mode === "Text" && shown.trim() !== "" ? jsonProblem(shown) : null;

  return (
    <div class="editor">
      <div class="value-head">
        <div class="segmented" role="group" aria-label="Edit as">
          {(["Text", "Base64"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={each === mode} onClick={() => switchTo(each)}>{each}</button>
          ))}
        </div>
        {mode === "Text" && ends === "CR LF" && <span class="hint">Line ends are CR LF and stay so.</span>}
        {text === null && mode === "Base64" && <span class="hint">This value is no text, so it is edited as base64.</span>}
        {text !== null && ends === "mixed" && mode === "Base64" && <span class="hint">Its line ends are mixed, which only base64 keeps.</span>}
        {isJson && mode === "Text" && (
          <>
            <Button kind="small" disabled={problem !== null} onClick={() => changed(formatJson(shown), "Text")}>Format</Button>
            <Button kind="small" disabled={problem !== null} onClick={() => changed(formatJson(shown, true), "Text")}>Compact</Button>
          </>
        )}
        <label class="button small file-button">
          Replace from a file
          <input
            type="file"
            class="sr-only"
            onChange={(event) => {
              const chosen = event.currentTarget.files?.[0];
              if (!chosen) return;
              void chosen.arrayBuffer().then((content) => {
                const bytes = new Uint8Array(content);
                const own = asText(bytes);
                const how = own !== null && lineEnds(own) === "LF" ? "Text" : "Base64";
                setMode(how);
                setShown(how === "Text" ? (own as string) : toBase64(bytes));
                setFile(chosen.name);
                onChange({ bytes, problem: "" });
              });
            }}
          />
        </label>
        {file && <span class="hint">from {file}</span>}
      </div>
      <textarea
        ref={field}
        class={`code-input ${wrap.value === "on" ? "" : "no-wrap"}`}
        aria-label={label}
        rows={Math.min(24, Math.max(6, shown.split("\n", 25).length + 1))}
        value={shown}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => changed(event.currentTarget.value, mode)}
      />
      {problem && (
        <p class="problem" role="status">Not valid JSON at line {problem.line}, column {problem.column}: {problem.message}</p>
      )}
    </div>
  );
}

interface EditorProps {
  /** The entry as it was when editing began. */
  opened: RawEntry;
  /** The entry as it is now; null: it is gone. */
  current: RawEntry | null;
  /** What was typed before a reload, to go on with. */
  draft?: Kept | null;
  onClose: () => void;
}

export function Editor({ opened, current, draft: before, onClose }: EditorProps): JSX.Element {
  const [base, setBase] = useState(before?.base ?? opened);
  const original = useMemo(() => fromBase64(base.Value), [base]);
  const [start, setStart] = useState(before?.bytes ?? original);
  const [generation, setGeneration] = useState(0);
  const [draft, setDraft] = useState<Draft>({ bytes: start, problem: "" });
  const [flags, setFlags] = useState(before?.flags ?? base.Flags);
  const [theirs, setTheirs] = useState<RawEntry | null | undefined>(undefined);
  const [saving, setSaving] = useState(false);
  const [error, setError] = useState("");
  const [asked, setAsked] = useState(false);

  const flagsProblem = /^\d{1,20}$/.test(flags) && BigInt(flags) < 1n << 64n ? "" : "Flags are a whole number below 2^64";
  const dirty = draft.problem !== "" || draft.bytes === null || !equal(draft.bytes, original) || flags !== base.Flags;
  const isJson = base.Key.endsWith(".json") || (/^\s*[[{]/.test(asText(original) ?? "") && jsonProblem(asText(original) ?? "") === null);
  const tooLong = (draft.bytes?.length ?? 0) > VALUE_BYTES_MAX;
  const changedElsewhere = current === null || current.ModifyIndex > base.ModifyIndex;

  useEffect(() => {
    setGuard(() => (dirty ? UNSAVED : ""));
    return () => setGuard(null);
  }, [dirty]);

  useEffect(() => {
    if (!dirty) {
      dropDraft(base.Key);
      return undefined;
    }
    if (draft.bytes === null) return undefined;
    const bytes = draft.bytes;
    const keep = () => keepDraft(base, bytes, flags);
    const timer = setTimeout(keep, DRAFT_MS);
    window.addEventListener("pagehide", keep);
    return () => {
      clearTimeout(timer);
      window.removeEventListener("pagehide", keep);
    };
  }, [dirty, draft, flags, base]);

  const restart = (bytes: Uint8Array) => {
    setStart(bytes);
    setDraft({ bytes, problem: "" });
    setGeneration(generation + 1);
  };

  const save = async (close: boolean, over: RawEntry | null = base) => {
    if (draft.bytes === null || draft.problem || flagsProblem || saving || readOnlyReason.peek()) return;
    const text = asText(draft.bytes);
    if (isJson && text !== null && text.trim() !== "" && jsonProblem(text) && !asked) {
      setAsked(true);
      return;
    }
    setAsked(false);
    setSaving(true);
    setError("");
    try {
      const value = draft.bytes;
      const done = await putKey(base.Key, value, flags, over?.ModifyIndex ?? 0);
      const stored = await readKey(base.Key);
      if (!done || !stored) {
        setTheirs(stored);
        return;
      }
      setBase(stored);
      setTheirs(undefined);
      toast(`Saved ${base.Key}`, "ok", over ? { label: "Undo", run: () => void undo(over, stored) } : undefined);
      dropDraft(base.Key);
      if (close) {
        setGuard(null);
        onClose();
      }
    } catch (problem) {
      setError(errorText(problem));
    } finally {
      setSaving(false);
    }
  };

  const cancel = () => {
    dropDraft(base.Key);
    setGuard(null);
    onClose();
  };

  const keys = (event: KeyboardEvent) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    void save(event.shiftKey);
  };

  if (theirs !== undefined) {
    return (
      <Conflict
        opened={original}
        theirs={theirs}
        mine={draft.bytes ?? original}
        onMine={() => void save(false, theirs)}
        onTheirs={() => {
          setGuard(null);
          setTheirs(undefined);
          dropDraft(base.Key);
          onClose();
        }}
        onEdit={() => {
          // Both versions are known now: the next save is meant to replace what stands there.
          if (theirs) setBase(theirs);
          if (draft.bytes) restart(draft.bytes);
          setTheirs(undefined);
        }}
      />
    );
  }

  return (
    <section class="panel" aria-label={`Edit ${base.Key}`} onKeyDown={keys}>
      {changedElsewhere && (
        <Notice level="warn" title={current === null ? "This key was deleted elsewhere while you were editing." : "This key was changed elsewhere while you were editing."}>
          <p>Your text is untouched. <Button kind="small" onClick={() => setTheirs(current)}>Compare</Button></p>
        </Notice>
      )}
      <ValueField key={generation} initial={start} label={`Value of ${base.Key}`} isJson={isJson} onChange={(next) => { setDraft(next); setAsked(false); }} focus />
      <label class="field flags-field">
        <span>Flags{flagsName(flags) && ` (${flagsName(flags)})`}</span>
        <input value={flags} inputMode="numeric" onInput={(event) => setFlags(event.currentTarget.value.trim())} spellcheck={false} autocomplete="off" />
      </label>
      {(draft.problem || flagsProblem) && <p class="problem" role="status">{draft.problem || flagsProblem}</p>}
      {tooLong && <Notice level="warn" title={`${formatBytes(draft.bytes?.length ?? 0)} is more than the usual limit of ${formatBytes(VALUE_BYTES_MAX)}; the agent may refuse it.`} />}
      {asked && <Notice level="warn" title="This is not valid JSON. Save it all the same?"><p>Press Save again to store it as it is.</p></Notice>}
      {error && <Notice level="bad" title={error} />}
      {base.Session && <Notice level="warn" title="A session holds this key. Saving changes the value under its lock." />}
      <div class="toolbar">
        <Button kind="primary" writes disabled={!dirty || saving || draft.bytes === null || flagsProblem !== ""} title="Ctrl+S" onClick={() => void save(false)}>Save</Button>
        <Button writes disabled={!dirty || saving || draft.bytes === null || flagsProblem !== ""} title="Ctrl+Shift+S" onClick={() => void save(true)}>Save and close</Button>
        <Button onClick={() => (dirty ? (leaving.value = { question: CANCEL, go: cancel }) : onClose())}>
          {dirty ? "Cancel" : "Close"}
        </Button>
        <span class="hint">{formatBytes(draft.bytes?.length ?? 0)}{dirty ? ", not saved" : ""}</span>
      </div>
    </section>
  );
}

async function undo(before: RawEntry, stored: RawEntry): Promise<void> {
  try {
    const value = fromBase64(before.Value);
    const done = await putKey(before.Key, value, before.Flags, stored.ModifyIndex);
    toast(done ? `${before.Key} is as it was` : `${before.Key} was changed again meanwhile and stays as it is`, done ? "ok" : "warn");
  } catch (error) {
    toast(`Could not undo: ${errorText(error)}`, "bad");
  }
}

interface ConflictProps {
  opened: Uint8Array;
  theirs: RawEntry | null;
  mine: Uint8Array;
  onMine: () => void;
  onTheirs: () => void;
  onEdit: () => void;
}

/** What was stored meanwhile beside what was typed, each marked against what both began with. */
function Conflict({ opened, theirs, mine, onMine, onTheirs, onEdit }: ConflictProps): JSX.Element {
  const before = readable(opened);
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return (
    <section class="panel conflict" aria-label="Conflict">
      <h2 ref={head} tabIndex={-1}>{theirs ? "Somebody else saved this key meanwhile" : "Somebody else deleted this key meanwhile"}</h2>
      <p>Nothing of yours was stored. Both versions are marked against the value that you opened.</p>
      <div class="sides">
        <DiffSide title={theirs ? `Theirs, index ${theirs.ModifyIndex}` : "Theirs: deleted"} before={before} after={theirs ? readable(fromBase64(theirs.Value)) : ""} />
        <DiffSide title="Yours" before={before} after={readable(mine)} />
      </div>
      <div class="toolbar">
        <Button kind="primary" writes onClick={onMine}>Save mine</Button>
        <Button onClick={onTheirs}>Take theirs</Button>
        <Button onClick={onEdit}>Edit mine further</Button>
      </div>
    </section>
  );
}
