// Numbers, times and lists in words.

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

export function formatNumber(value: number): string {
  return value.toLocaleString("en-US").replaceAll(",", " ");
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** A span of time, to be read at a glance: "8 s", "3 min", "2 h 5 min". */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

export function formatTime(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function joinWords(words: string[], last = "and"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${last} ${words[words.length - 1]}`;
}

/** Nanoseconds as Go writes a duration. */
export function formatNanos(ns: number): string {
  if (ns >= 60e9) return formatSpan(ns / 1e6);
  if (ns >= 1e9) return `${ns / 1e9} s`;
  if (ns >= 1e6) return `${ns / 1e6} ms`;
  return `${ns} ns`;
}

/** Milliseconds from a duration like "30s" or "1m30s"; 0 when it is none. */
export function parseDuration(text: string): number {
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let total = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g)) total += Number(number) * units[unit];
  return total;
}

export function shorten(id: string, length = 12): string {
  return id.length > length ? id.slice(0, length) : id;
}
