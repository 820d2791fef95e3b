// Keys that work everywhere but in fields.
import { signal } from "@preact/signals";
import { createPath, folderPath, paths } from "./paths";
import { go, location_, ownDatacenter } from "./router";
import { shortcuts } from "./settings";
import { copy } from "./ui";

export const helpOpen = signal(false);
const SEQUENCE_MS = 1500;

let pendingUntil = 0;

export function startShortcuts(): void {
  document.addEventListener("keydown", (event) => {
    if (shortcuts.value !== "on" || event.defaultPrevented) return;
    const { route } = location_.value;
    const dc = "dc" in route && route.dc ? route.dc : ownDatacenter;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      go(paths.search(dc, ""));
      focusSearch();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target) || document.querySelector("dialog[open]")) return;
    if (performance.now() < pendingUntil) {
      pendingUntil = 0;
      const to: Record<string, string> = {
        o: paths.overview(dc), d: paths.docker(dc), k: folderPath(dc, ""), n: paths.nodes(dc), s: paths.sessions(dc), v: paths.services(dc), e: paths.events(dc),
      };
      if (to[event.key]) {
        event.preventDefault();
        go(to[event.key]);
      }
      return;
    }
    if (run(event.key, dc)) event.preventDefault();
  });
}

function run(key: string, dc: string): boolean {
  const { route } = location_.value;
  switch (key) {
    case "g": pendingUntil = performance.now() + SEQUENCE_MS; return true;
    case "?": helpOpen.value = true; return true;
    case "/": return focusSearch();
    case "j": case "ArrowDown": return moveRow(1, key === "j");
    case "k": case "ArrowUp": return moveRow(-1, key === "k");
    case "u": {
      const path = route.page === "folder" || route.page === "create" ? route.prefix : route.page === "key" ? route.key : "";
      if (!path) return false;
      go(folderPath(dc, route.page === "create" ? path : path.slice(0, path.replace(/\/$/, "").lastIndexOf("/") + 1)));
      return true;
    }
    case "c":
      if (route.page !== "folder") return false;
      go(createPath(dc, route.prefix));
      return true;
    case "e": return press("edit") || press("edit-folder");
    case "y": {
      const path = route.page === "folder" ? route.prefix : route.page === "key" ? route.key : "";
      if (path) void copy(path, "the path");
      return path !== "";
    }
  }
  return false;
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|radio|button)$/.test((target as HTMLInputElement).type));
}

function focusSearch(): boolean {
  const field = () => document.querySelector<HTMLElement>("main input[type=search]");
  if (field()) field()?.focus();
  else requestAnimationFrame(() => requestAnimationFrame(() => field()?.focus()));
  return true;
}

function press(id: string): boolean {
  const button = document.getElementById(id) as HTMLButtonElement | null;
  if (!button || button.disabled) return false;
  button.click();
  return true;
}

/** From row to row. The arrows only move once a row has the focus: before that they scroll. */
function moveRow(by: number, start: boolean): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  if (at < 0 && !start) return false;
  const next = rows[at < 0 ? 0 : at + by];
  if (!next) return false;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}
