// Keys and folders that were opened lately, and those that the person marked. Kept in this browser; names only.
import { kept } from "./settings";

const RECENT_MAX = 8;
const BOOKMARKS_MAX = 50;

/** Keys, and folders with a slash at the end. */
export const recent = kept<string>("recent");
export const bookmarks = kept<string>("bookmarks");

export function visited(path: string): void {
  if (path === "" || recent.peek()[0] === path) return;
  recent.value = [path, ...recent.peek().filter((each) => each !== path)].slice(0, RECENT_MAX);
}

export function toggleBookmark(path: string): void {
  const others = bookmarks.peek().filter((each) => each !== path);
  bookmarks.value = others.length < bookmarks.peek().length ? others : [path, ...others].slice(0, BOOKMARKS_MAX);
}

export function forgetPlaces(): void {
  recent.value = [];
  bookmarks.value = [];
}
