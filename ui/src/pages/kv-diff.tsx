// Two values against each other, line by line.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { asText, hexDump } from "../bytes";
import { diffLines } from "../diff";

/** The text of a value; a hex dump of what is no text. */
export const readable = (bytes: Uint8Array) => asText(bytes) ?? hexDump(bytes);

const MARKS = { same: " ", gone: "−", new: "+" } as const;

export function DiffSide({ title, before, after }: { title: string; before: string; after: string }): JSX.Element {
  return (
    <div class="side">
      <h3>{title}</h3>
      <DiffText label={title} before={before} after={after} />
    </div>
  );
}

export function DiffText({ label, before, after }: { label: string; before: string; after: string }): JSX.Element {
  const lines = useMemo(() => diffLines(before, after), [before, after]);
  return (
    <pre class="code diff wrap" tabIndex={0} aria-label={label}>
      {lines.map(({ kind, text }) => (
        <span class={`diff-${kind}`}>
          <span class="sr-only">{kind === "same" ? "" : kind === "gone" ? "removed: " : "added: "}</span>
          <span aria-hidden="true">{MARKS[kind]} </span>
          {`${text}\n`}
        </span>
      ))}
    </pre>
  );
}
