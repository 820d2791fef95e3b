// Requests to the agent: exact integers, the token, errors in words, and whether the agent can be reached at all.
import { signal } from "@preact/signals";
import { token } from "./settings";

export class HttpError extends Error {
  constructor(readonly status: number, text: string) {
    super(text.trim() || `the agent answered ${status}`);
  }
}

/** The agent did not answer. */
export class UnreachableError extends Error {}

export interface Answer<T> {
  data: T;
  status: number;
  index: number;
  knownLeader: boolean;
  lastContact: number;
}

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  body?: BodyInit;
  signal?: AbortSignal;
  /** Statuses besides 2xx whose body is data. */
  accept?: number[];
}

/** Since when (ms) the agent is unreachable; null while it answers. */
export const unreachableSince = signal<number | null>(null);
export const lastAnswerAt = signal(0);

// Numbers beyond 2^53 stay text. A quote inside of a JSON string is escaped, so this cannot match within one.
const BIG = /"(Flags|flags)":\s*(\d+)/g;

export function parse(text: string): unknown {
  return text === "" ? null : JSON.parse(text.replace(BIG, '"$1":"$2"'));
}

export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<Answer<T>> {
  const { text, response } = await send(method, path, options, (got) => got.text());
  if (!response.ok && !options.accept?.includes(response.status)) throw new HttpError(response.status, text);
  let data: unknown;
  try {
    data = parse(text);
  } catch {
    data = text;
  }
  return answer(response, data as T);
}

/** The bytes of an answer. */
export async function callBytes(path: string, options: CallOptions = {}): Promise<Answer<Uint8Array>> {
  const { text, response } = await send("GET", path, options, (got) => got.arrayBuffer());
  if (!response.ok) throw new HttpError(response.status, new TextDecoder().decode(text));
  return answer(response, new Uint8Array(text));
}

async function send<B>(
  method: string,
  path: string,
  options: CallOptions,
  readBody: (response: Response) => Promise<B>,
): Promise<{ text: B; response: Response }> {
  const headers: Record<string, string> = {};
  if (token.value) headers["X-Consul-Token"] = token.value;
  const query = Object.entries(options.query ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(value as string)}`)
    .join("&");
  try {
    const response = await fetch(`/v1/${path}${query ? `?${query}` : ""}`, {
      method,
      headers,
      body: options.body,
      signal: options.signal,
      cache: "no-store",
      credentials: "same-origin",
    });
    const text = await readBody(response);
    unreachableSince.value = null;
    lastAnswerAt.value = Date.now();
    return { text, response };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    unreachableSince.value ??= Date.now();
    throw new UnreachableError(`cannot reach ${window.location.host}`);
  }
}

function answer<T>(response: Response, data: T): Answer<T> {
  const number = (name: string) => Number(response.headers.get(name) ?? 0) || 0;
  return {
    data,
    status: response.status,
    index: number("X-Consul-Index"),
    knownLeader: response.headers.get("X-Consul-Knownleader") !== "false",
    lastContact: number("X-Consul-Lastcontact"),
  };
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
