// Keys and values: requests, and the changes of many keys at once.
import { HttpError, call } from "./api";
import { equal, fromBase64, toBase64 } from "./bytes";

export const LOCK_FLAGS = "3304740253564472344";
const SEMAPHORE_FLAGS = "16210313421097356768";
export const VALUE_BYTES_MAX = 512 * 1024;

/** As the agent sends it. Flags are text: they do not fit into a number. */
export interface RawEntry {
  Key: string;
  Value: string | null;
  Flags: string;
  Session?: string;
  LockIndex: number;
  CreateIndex: number;
  ModifyIndex: number;
}

export function flagsName(flags: string): string {
  if (flags === LOCK_FLAGS) return "lock";
  if (flags === SEMAPHORE_FLAGS) return "semaphore";
  return "";
}

/** The number of bytes behind a base64 text, without decoding it. */
export function valueSize(value: string | null): number {
  if (!value) return 0;
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  return (value.length / 4) * 3 - padding;
}

/** The path of a key that a path can name. */
export function keyUrl(key: string): string {
  return `kv/${key.split("/").map(encodeURIComponent).join("/")}`;
}

/** Whether a path can name the key: agents clean paths, and refuse what cannot be printed. Else a transaction can. */
export function isAddressable(key: string): boolean {
  return key !== "" && !/^\/|\/\/|(^|\/)\.\.?(\/|$)|[\p{C}\p{Zl}\p{Zp}]|[^\S ]/u.test(key);
}

export async function readKey(key: string): Promise<RawEntry | null> {
  if (!isAddressable(key)) {
    const [entry] = (await listBelow(key)).filter(({ Key }) => Key === key);
    return entry ?? null;
  }
  const { data, status } = await call<RawEntry[]>("GET", keyUrl(key), { query: { consistent: "" }, accept: [404] });
  return status === 404 ? null : data[0];
}

/** All keys that begin with the prefix, with their values. */
export async function listBelow(prefix: string): Promise<RawEntry[]> {
  const wanted = addressablePart(prefix);
  const { data, status } = await call<RawEntry[]>("GET", keyUrl(wanted), { query: { recurse: "" }, accept: [404] });
  return status === 404 ? [] : data.filter(({ Key }) => Key.startsWith(prefix));
}

export async function listNames(prefix: string): Promise<string[]> {
  const wanted = addressablePart(prefix);
  const { data, status } = await call<string[]>("GET", keyUrl(wanted), { query: { keys: "" }, accept: [404] });
  return status === 404 ? [] : data.filter((key) => key.startsWith(prefix));
}

/** The longest beginning of a prefix that a path can say. */
export function addressablePart(prefix: string): string {
  let part = prefix;
  while (part !== "" && !isAddressable(part)) part = part.slice(0, -1);
  return part;
}

export interface Write {
  verb: "set" | "cas" | "delete" | "delete-cas" | "check-not-exists";
  key: string;
  value?: Uint8Array;
  flags?: string;
  index?: number;
}

/** What a transaction says when an operation fails: nothing of it was done. */
export class TransactionError extends Error {}

/** Flags go out as the digits that they are. */
function operationText({ verb, key, value, flags, index }: Write): string {
  const parts = [`"Verb":${JSON.stringify(verb)}`, `"Key":${JSON.stringify(key)}`];
  if (value) parts.push(`"Value":"${toBase64(value)}"`);
  if (flags) parts.push(`"Flags":${flags}`);
  if (index !== undefined) parts.push(`"Index":${index}`);
  return `{"KV":{${parts.join(",")}}}`;
}

interface TxnAnswer {
  Results: { KV: RawEntry }[] | null;
  Errors: { OpIndex: number; What: string }[] | null;
}

export async function transaction(writes: Write[]): Promise<RawEntry[]> {
  const { data, status } = await call<TxnAnswer>("PUT", "txn", {
    body: `[${writes.map(operationText).join(",")}]`,
    accept: [409],
  });
  if (status === 409) {
    const [first] = data.Errors ?? [];
    throw new TransactionError(first ? `${writes[first.OpIndex]?.key ?? ""}: ${first.What}` : "refused");
  }
  return (data.Results ?? []).map(({ KV }) => KV);
}

/** The values that were written last from here. */
const written = new Map<string, string>();

/** Whether what is stored is what this page wrote. */
export const isOwn = (entry: RawEntry) => written.get(entry.Key) === (entry.Value ?? "");

/** Writes with check-and-set; false: the key is not as `index` says any more (0: it exists already). */
export async function putKey(key: string, value: Uint8Array, flags: string, index: number): Promise<boolean> {
  if (!isAddressable(key)) {
    try {
      await transaction([{ verb: "cas", key, value, flags, index }]);
      written.set(key, toBase64(value));
      return true;
    } catch (error) {
      if (error instanceof TransactionError) return false;
      throw error;
    }
  }
  const { data } = await call<boolean>("PUT", keyUrl(key), { query: { cas: index, flags }, body: value as BufferSource });
  if (data === true) written.set(key, toBase64(value));
  return data === true;
}

export async function deleteKey(key: string, index: number): Promise<boolean> {
  if (!isAddressable(key)) {
    try {
      await transaction([{ verb: "delete-cas", key, index }]);
      return true;
    } catch (error) {
      if (error instanceof TransactionError) return false;
      throw error;
    }
  }
  const { data } = await call<boolean>("DELETE", keyUrl(key), { query: { cas: index } });
  return data === true;
}

// Many keys

const OPERATIONS_MAX = 64;
const BATCH_BYTES_MAX = 300 * 1024;

/** Groups of writes that must happen together, packed into transactions that the agent takes. */
export function batches(groups: Write[][]): Write[][][] {
  const packed: Write[][][] = [];
  let current: Write[][] = [];
  let count = 0;
  let size = 0;
  for (const group of groups) {
    const bytes = group.reduce((sum, { key, value }) => sum + 3 * key.length + 1.4 * (value?.length ?? 0) + 80, 0);
    if (count > 0 && (count + group.length > OPERATIONS_MAX || size + bytes > BATCH_BYTES_MAX)) {
      packed.push(current);
      current = [];
      count = size = 0;
    }
    current.push(group);
    count += group.length;
    size += bytes;
  }
  if (count > 0) packed.push(current);
  return packed;
}

export interface Progress {
  done: number;
  total: number;
  /** Keys that were not written, and why. */
  failed: { key: string; why: string }[];
}

/** Writes all groups, one transaction after the other; what fails is tried group by group, and reported. */
export async function writeAll(groups: Write[][], report: (progress: Progress) => void, signal?: AbortSignal): Promise<Progress> {
  const progress: Progress = { done: 0, total: groups.length, failed: [] };
  for (const batch of batches(groups)) {
    if (signal?.aborted) break;
    try {
      await transaction(batch.flat());
    } catch (error) {
      if (!(error instanceof TransactionError || error instanceof HttpError)) throw error;
      for (const group of batch) {
        try {
          await transaction(group);
        } catch (problem) {
          if (!(problem instanceof TransactionError || problem instanceof HttpError)) throw problem;
          progress.failed.push({ key: group[0].key, why: problem.message });
        }
      }
    }
    progress.done += batch.length;
    report({ ...progress });
  }
  return progress;
}

export const deletion = (entry: RawEntry): Write[] => [{ verb: "delete-cas", key: entry.Key, index: entry.ModifyIndex }];

export function copying(entry: RawEntry, to: string): Write[] {
  return [{ verb: "cas", key: to, value: fromBase64(entry.Value), flags: entry.Flags, index: 0 }];
}

export function moving(entry: RawEntry, to: string): Write[] {
  return [...copying(entry, to), ...deletion(entry)];
}

export function restoring(entry: RawEntry): Write[] {
  return copying(entry, entry.Key);
}

// Export and import, as `consul kv export` writes it

export function exportText(entries: RawEntry[]): string {
  const items = entries.map(
    ({ Key, Flags, Value }) =>
      `\t{\n\t\t"key": ${JSON.stringify(Key)},\n\t\t"flags": ${Flags},\n\t\t"value": "${Value ?? ""}"\n\t}`,
  );
  return items.length > 0 ? `[\n${items.join(",\n")}\n]\n` : "[]\n";
}

export interface Imported {
  key: string;
  flags: string;
  value: Uint8Array;
}

/** Raises an error in words for what is no export. */
export function readExport(text: string): Imported[] {
  const parsed: unknown = JSON.parse(text.replace(/"flags":\s*(\d+)/g, '"flags":"$1"'));
  if (!Array.isArray(parsed)) throw new Error("This is no export: a list of keys was expected");
  return parsed.map((item: Record<string, unknown>, at) => {
    if (typeof item?.key !== "string" || item.key === "") throw new Error(`Entry ${at + 1} has no key`);
    if (typeof item.value !== "string" && item.value !== null && item.value !== undefined)
      throw new Error(`The value of ${item.key} is no base64 text`);
    return { key: item.key, flags: String(item.flags ?? "0"), value: fromBase64(item.value as string) };
  });
}

export interface Difference {
  item: Imported;
  kind: "new" | "changed" | "same";
  current: RawEntry | null;
}

export function compare(items: Imported[], current: Map<string, RawEntry>): Difference[] {
  return items.map((item) => {
    const entry = current.get(item.key) ?? null;
    if (!entry) return { item, kind: "new", current: null };
    const same = entry.Flags === item.flags && equal(fromBase64(entry.Value), item.value);
    return { item, kind: same ? "same" : "changed", current: entry };
  });
}

/** The longest folder that all of these keys are in. */
export function commonFolder(keys: string[]): string {
  let common = keys[0] ?? "";
  for (const key of keys) while (!key.startsWith(common)) common = common.slice(0, -1);
  return common.slice(0, common.lastIndexOf("/") + 1);
}

export function download(name: string, content: BlobPart, type = "application/octet-stream"): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
