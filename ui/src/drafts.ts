// What was typed into an editor and not saved: kept in the tab, over a reload and while other pages are looked at.
import { fromBase64, toBase64 } from "./bytes";
import type { RawEntry } from "./kv";

const CHARACTERS_MAX = 2_000_000;
const nameOf = (key: string) => `pyconsul:draft:${key}`;

export interface Kept {
  /** The entry as it was when editing began: saving is a check-and-set against it. */
  base: RawEntry;
  bytes: Uint8Array;
  flags: string;
  at: number;
}

export function keepDraft(base: RawEntry, bytes: Uint8Array, flags: string): void {
  const text = JSON.stringify({ base, bytes: toBase64(bytes), flags, at: Date.now() });
  try {
    if (text.length <= CHARACTERS_MAX) sessionStorage.setItem(nameOf(base.Key), text);
    else sessionStorage.removeItem(nameOf(base.Key));
  } catch {
    // Storage is off or full: then there is no draft, as the question before leaving says.
  }
}

export function dropDraft(key: string): void {
  try {
    sessionStorage.removeItem(nameOf(key));
  } catch {
    // Storage is off: nothing was kept.
  }
}

export function draftOf(key: string): Kept | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(nameOf(key)) ?? "null") as (Omit<Kept, "bytes"> & { bytes: string }) | null;
    return found && found.base.Key === key ? { ...found, bytes: fromBase64(found.bytes) } : null;
  } catch {
    return null; // storage is off, or holds something else
  }
}
