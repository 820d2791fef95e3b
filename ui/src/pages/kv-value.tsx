// A value as text, JSON, hex or image. Everything is drawn as text nodes or pixels, never as markup.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asText, hexDump, imageType } from "../bytes";
import { formatBytes } from "../format";
import { formatJson, jsonPieces, jsonProblem, unfold } from "../json";
import { wrap } from "../settings";
import { Button, Notice } from "../ui";

export type View = "JSON" | "Unfolded" | "Text" | "Hex" | "Image";

const COLOURED_BYTES_MAX = 64 * 1024;
const SHOWN_FIRST = 256 * 1024;

/** The ways to look at a value, the best first. */
export function viewsOf(key: string, bytes: Uint8Array): View[] {
  const views: View[] = [];
  if (imageType(bytes)) views.push("Image");
  const text = asText(bytes);
  if (text !== null) {
    if (key.endsWith(".json") || (/^\s*[[{]/.test(text) && jsonProblem(text) === null)) {
      views.push("JSON");
      if (unfolded(text) !== "") views.push("Unfolded");
    }
    views.push("Text");
  }
  views.push("Hex");
  return views;
}

/** JSON with the JSON texts in its strings unfolded, as libnetwork nests them; "" when there are none. */
function unfolded(text: string): string {
  if (text.length > COLOURED_BYTES_MAX || !text.includes('\\"')) return "";
  try {
    const parsed: unknown = JSON.parse(text);
    const found = JSON.stringify(unfold(parsed));
    return found === JSON.stringify(parsed) ? "" : found;
  } catch {
    return ""; // no JSON, nothing to unfold
  }
}

export function ValueView({ bytes, view }: { bytes: Uint8Array; view: View }): JSX.Element {
  if (bytes.length === 0) return <p class="hint value-empty">The value is empty.</p>;
  if (view === "Image") return <ImageView bytes={bytes} />;
  if (view === "Hex") return <pre class="code" tabIndex={0} aria-label="Value as hex">{hexDump(bytes)}</pre>;
  const text = asText(bytes) ?? "";
  if (view === "Unfolded") return <JsonView text={unfolded(text)} />;
  return view === "JSON" ? <JsonView text={text} /> : <TextView text={text} label="Value as text" />;
}

function TextView({ text, label }: { text: string; label: string }): JSX.Element {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > SHOWN_FIRST;
  return (
    <>
      <pre class={`code ${wrap.value === "on" ? "wrap" : ""}`} tabIndex={0} aria-label={label}>{cut ? text.slice(0, SHOWN_FIRST) : text}</pre>
      {cut && <Button onClick={() => setAll(true)}>Show all {formatBytes(text.length)}</Button>}
    </>
  );
}

function JsonView({ text }: { text: string }): JSX.Element {
  const problem = useMemo(() => jsonProblem(text), [text]);
  const formatted = useMemo(() => (problem ? text : formatJson(text)), [text, problem]);
  if (problem || formatted.length > COLOURED_BYTES_MAX) {
    return (
      <>
        {problem && <Notice level="warn" title={`Not valid JSON: line ${problem.line}, column ${problem.column}`} />}
        <TextView text={formatted} label="Value as JSON" />
      </>
    );
  }
  return (
    <pre class={`code ${wrap.value === "on" ? "wrap" : ""}`} tabIndex={0} aria-label="Value as JSON">
      {jsonPieces(formatted).map(({ text: piece, kind }) => (kind ? <span class={`json-${kind}`}>{piece}</span> : piece))}
    </pre>
  );
}

/** Drawn on a canvas: the policy of the page lets no image address through, and needs none. */
function ImageView({ bytes }: { bytes: Uint8Array }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState("");
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let stopped = false;
    createImageBitmap(new Blob([bytes as BlobPart], { type: imageType(bytes) })).then(
      (bitmap) => {
        const target = canvas.current;
        if (stopped || !target) return;
        target.width = bitmap.width;
        target.height = bitmap.height;
        target.getContext("2d")?.drawImage(bitmap, 0, 0);
        setSize(`${bitmap.width} × ${bitmap.height}`);
      },
      () => !stopped && setFailed(true),
    );
    return () => {
      stopped = true;
    };
  }, [bytes]);
  if (failed) return <Notice level="warn" title="This image cannot be drawn. The other views show its bytes." />;
  return (
    <figure class="image">
      <canvas ref={canvas} role="img" aria-label={`Image ${size}`} />
      <figcaption class="hint">{size}</figcaption>
    </figure>
  );
}
