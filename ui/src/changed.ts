// Which rows of a list are new or different since the last look: they light up once.
import { useEffect, useRef, useState } from "preact/hooks";

const NONE: ReadonlySet<string> = new Set();
const LIT_MS = 1600;
const COMPARED_MAX = 20_000;

/**
 * `rows` are all rows, not only those that a filter lets through; undefined while loading. `versionOf` says what counts
 * as different; "" means that it is not known, which is no difference.
 */
export function useChanged<Row>(rows: readonly Row[] | undefined, keyOf: (row: Row) => string, versionOf: (row: Row) => string, generation: unknown = null): ReadonlySet<string> {
  const before = useRef<Map<string, string> | null>(null);
  const timer = useRef(0);
  const [changed, setChanged] = useState(NONE);
  useEffect(() => {
    if (rows === undefined || rows.length > COMPARED_MAX) return;
    const after = new Map<string, string>();
    const found = new Set<string>();
    for (const row of rows) {
      const key = keyOf(row);
      const version = versionOf(row);
      const old = before.current?.get(key);
      after.set(key, version || (old ?? ""));
      if (before.current && (old === undefined || (old !== "" && version !== "" && old !== version))) found.add(key);
    }
    before.current = after;
    if (found.size === 0) return;
    clearTimeout(timer.current);
    setChanged(found);
    timer.current = window.setTimeout(() => setChanged(NONE), LIT_MS);
  }, [rows, generation]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return changed;
}
