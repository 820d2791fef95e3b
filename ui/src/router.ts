// The address bar as state: the current route, moving to another, and what asks before the page is left.
import { signal } from "@preact/signals";
import { findRoute, type Route } from "./paths";

const root = document.documentElement;
export const contentPath = root.dataset.contentPath ?? "/ui/";
export const ownDatacenter = root.dataset.datacenter ?? "";

interface Location {
  route: Route;
  query: URLSearchParams;
  path: string;
}

interface Saved {
  at: number;
  scroll?: number;
}

let position = 0;
/** Returns a question to ask before leaving, or "" when nothing would be lost. */
let guard: (() => string) | null = null;
export const leaving = signal<{ question: string; go: () => void } | null>(null);
export const location_ = signal<Location>(read());

function read(): Location {
  const path = window.location.pathname.startsWith(contentPath)
    ? window.location.pathname.slice(contentPath.length)
    : "";
  const query = new URLSearchParams(window.location.search);
  const found = findRoute(path, query, window.location.hash);
  if (found.moved !== undefined) {
    const search = found.moved.includes("?") || window.location.hash.startsWith("#/") ? "" : window.location.search;
    history.replaceState(history.state, "", contentPath + found.moved + search);
  }
  return { route: found.route, query: new URLSearchParams(window.location.search), path: window.location.pathname };
}

export function href(path: string): string {
  return contentPath + path;
}

export function setGuard(ask: (() => string) | null): void {
  guard = ask;
}

/** Shows another path (below the content path); asks first when something would be lost. */
export function go(path: string, replace = false): void {
  const move = () => {
    guard = null;
    if (replace) history.replaceState({ at: position } satisfies Saved, "", href(path));
    else {
      saveScroll();
      position++;
      history.pushState({ at: position } satisfies Saved, "", href(path));
    }
    arrive(0, !replace);
  };
  asked(move);
}

function asked(move: () => void): void {
  const question = guard?.() ?? "";
  if (question) leaving.value = { question, go: move };
  else move();
}

/** Changes the query string in place: it is state of the page that a link or a reload should keep. */
export function setQuery(name: string, value: string): void {
  setQueries({ [name]: value });
}

export function setQueries(values: Record<string, string>): void {
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history.replaceState(history.state, "", window.location.pathname + (text ? `?${text}` : ""));
  location_.value = { ...location_.value, query };
}

function saveScroll(): void {
  history.replaceState({ at: position, scroll: window.scrollY } satisfies Saved, "");
}

function arrive(scroll: number, focus: boolean): void {
  location_.value = read();
  const until = performance.now() + 2000;
  // Lists fill up after the page is drawn: the position can be restored once the page is long enough.
  const restore = () => {
    window.scrollTo(0, scroll);
    if (Math.abs(window.scrollY - scroll) > 2 && performance.now() < until) requestAnimationFrame(restore);
  };
  requestAnimationFrame(restore);
  if (focus) requestAnimationFrame(() => document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true }));
}

export function startRouter(): void {
  history.scrollRestoration = "manual";
  const state = history.state as Saved | null;
  position = state?.at ?? 0;
  history.replaceState({ at: position, scroll: state?.scroll } satisfies Saved, "");
  if (state?.scroll) arrive(state.scroll, false);
  window.addEventListener("popstate", (event) => {
    const saved = event.state as Saved | null;
    const question = guard?.() ?? "";
    if (question) {
      const back = (saved?.at ?? 0) < position ? 1 : -1;
      const quiet = guard;
      guard = null;
      history.go(back);
      window.addEventListener(
        "popstate",
        () => {
          guard = quiet;
          leaving.value = { question, go: () => { guard = null; history.go(-back); } };
        },
        { once: true },
      );
      return;
    }
    guard = null;
    position = saved?.at ?? 0;
    arrive(saved?.scroll ?? 0, true);
  });
  window.addEventListener("beforeunload", (event) => {
    saveScroll();
    if (guard?.()) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
    const path = link.getAttribute("href") ?? "";
    if (!path.startsWith(contentPath)) return;
    event.preventDefault();
    go(path.slice(contentPath.length));
  });
}
