// What the person chose, kept in the browser. A browser that keeps nothing works too.
import { effect, signal } from "@preact/signals";

function load(store: () => Storage, name: string): string {
  try {
    return store().getItem(name) ?? "";
  } catch {
    return "";
  }
}

function save(store: () => Storage, name: string, value: string): void {
  try {
    if (value) store().setItem(name, value);
    else store().removeItem(name);
  } catch {
    // Storage is off or full: the choice holds until the page is closed.
  }
}

const local = () => window.localStorage;
const session = () => window.sessionStorage;

function setting(name: string, initial = "") {
  const kept = signal(load(local, `pyconsul:${name}`) || initial);
  effect(() => save(local, `pyconsul:${name}`, kept.value === initial ? "" : kept.value));
  return kept;
}

/** A list of texts that this browser keeps. */
export function kept<T extends string>(name: string) {
  let first: T[] = [];
  try {
    const found: unknown = JSON.parse(load(local, `pyconsul:${name}`) || "[]");
    if (Array.isArray(found)) first = found.filter((each): each is T => typeof each === "string");
  } catch {
    // Written by something else: begun again.
  }
  const list = signal<T[]>(first);
  effect(() => save(local, `pyconsul:${name}`, list.value.length > 0 ? JSON.stringify(list.value) : ""));
  return list;
}

/** "system", "light" or "dark". */
export const theme = setting("theme", "system");
/** Whether pages follow changes by themselves: "on" or "off". */
export const liveDefault = setting("live", "on");
export const shortcuts = setting("shortcuts", "on");
/** The tree of folders beside keys: "on" or "off". */
export const treeShown = setting("tree", "off");
export const wrap = setting("wrap", "on");
export const expectedEngines = setting("expected-engines");
/** The page that the content path alone leads to: "overview" or "services", as in Consul. */
export const startPage = setting("start", "overview");
/** Size of the letters of values: "normal" or "large". */
export const codeSize = setting("code-size", "normal");
/** Whether the overview lists what is still to do: "on" or "off". */
export const checklist = setting("checklist", "on");
/** What the keys of docker begin with; found by looking when empty. */
export const dockerPrefix = setting("docker-prefix");

/** The ACL token: for this tab only, unless the person asked to keep it. */
export const token = signal(load(session, "pyconsul:token") || load(local, "pyconsul:token"));
export const tokenKept = signal(load(local, "pyconsul:token") !== "");

/** Whether the dialog that asks for a token is shown. */
export const loginOpen = signal(false);

export function setToken(secret: string, keep: boolean): void {
  save(session, "pyconsul:token", secret);
  save(local, "pyconsul:token", keep ? secret : "");
  tokenKept.value = keep && secret !== "";
  token.value = secret;
}

effect(() => {
  const chosen = theme.value;
  document.documentElement.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : "system";
});
effect(() => {
  document.documentElement.dataset.codeSize = codeSize.value;
});
