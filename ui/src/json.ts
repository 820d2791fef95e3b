// JSON as people read it: checked with line and column, formatted without touching numbers or the order of keys.

export interface JsonProblem {
  message: string;
  line: number;
  column: number;
}

/** What is wrong with a text that should be JSON; null when nothing is. */
export function jsonProblem(text: string): JsonProblem | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const at = failedAt(text);
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    return {
      message: (error as Error).message.replace(/ \(line .*$/, "").replace(/ in JSON at position.*$/, ""),
      line,
      column: at - before.lastIndexOf("\n"),
    };
  }
}

const TOKEN = /\s+|[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Where a text stops being JSON. Browsers word their errors differently, so it is looked for here. */
function failedAt(text: string): number {
  const stack: string[] = [];
  let at = 0;
  // "value", "first" (value or ]), "key", "firstkey" (key or }), "colon", "more" (comma or end), "end"
  let expect = "value";
  const after = () => (stack.length > 0 ? "more" : "end");
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return at;
    if (token.trim() !== "") {
      const open = stack[stack.length - 1];
      const isString = token[0] === '"';
      const isScalar = isString || /^[-\dtfn]/.test(token);
      if ((expect === "value" || expect === "first") && (isScalar || token === "{" || token === "[")) {
        if (isScalar) expect = after();
        else {
          stack.push(token);
          expect = token === "{" ? "firstkey" : "first";
        }
      } else if ((expect === "key" || expect === "firstkey") && isString) expect = "colon";
      else if (expect === "colon" && token === ":") expect = "value";
      else if (expect === "more" && token === ",") expect = open === "{" ? "key" : "value";
      else if (
        (token === "}" && open === "{" && (expect === "firstkey" || expect === "more")) ||
        (token === "]" && open === "[" && (expect === "first" || expect === "more"))
      ) {
        stack.pop();
        expect = after();
      } else return at;
    }
    at += token.length;
  }
  return at;
}

/** Indented by two spaces. The text must be JSON; strings and numbers stay as they are written. */
export function formatJson(text: string, compact = false): string {
  const out: string[] = [];
  let depth = 0;
  let at = 0;
  let empty = false;
  const line = () => (compact ? "" : `\n${"  ".repeat(depth)}`);
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return text;
    at += token.length;
    if (token.trim() === "") continue;
    if (token === "}" || token === "]") {
      depth--;
      out.push(empty ? token : line() + token);
      empty = false;
      continue;
    }
    if (empty) out.push(line());
    empty = false;
    if (token === "{" || token === "[") {
      depth++;
      out.push(token);
      empty = true;
    } else if (token === ",") out.push(token + line());
    else if (token === ":") out.push(compact ? ":" : ": ");
    else out.push(token);
  }
  return out.join("");
}

export interface Piece {
  text: string;
  kind: "" | "string" | "name" | "number" | "word";
}

/** The parts of a JSON text, for colouring. */
export function jsonPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) {
      pieces.push({ text: text.slice(at), kind: "" });
      break;
    }
    at += token.length;
    const first = token[0];
    const kind =
      first === '"' ? (/^\s*:/.test(text.slice(at, at + 20)) ? "name" : "string")
      : /[-\d]/.test(first) ? "number"
      : /[tfn]/.test(first) ? "word" : "";
    pieces.push({ text: token, kind });
  }
  return pieces;
}

/** JSON texts inside of strings, as libnetwork writes them, unfolded. */
export function unfold(value: unknown): unknown {
  if (typeof value === "string" && /^\s*[[{]/.test(value)) {
    try {
      return unfold(JSON.parse(value));
    } catch {
      return value;
    }
  }
  if (Array.isArray(value)) return value.map(unfold);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unfold(each)]));
  }
  return value;
}
