// The folders as a tree beside the list: read when a branch is opened, folders only.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { formatNumber } from "../format";
import { Icon } from "../icons";
import { addressablePart, isAddressable, keyUrl } from "../kv";
import { useLive } from "../live";
import { folderPath } from "../paths";
import { treeShown } from "../settings";
import { Button, Link } from "../ui";

const POLL_MS = 15_000;
const SHOWN_MAX = 200;

const opened = signal<ReadonlySet<string>>(new Set());

/** A page of keys with the tree beside it, when the person wants that and the window is wide enough. */
export function WithTree({ dc, prefix, children }: { dc: string; prefix: string; children: ComponentChildren }): JSX.Element {
  if (treeShown.value !== "on") return <>{children}</>;
  return (
    <div class="with-tree">
      <nav class="tree" aria-label="Folders as a tree">
        <Branch dc={dc} branch="" current={prefix} name="KV" />
      </nav>
      <div class="beside-tree">{children}</div>
    </div>
  );
}

export function TreeButton(): JSX.Element {
  const on = treeShown.value === "on";
  return (
    <span class="wide-only">
      <Button icon="folder" pressed={on} onClick={() => { treeShown.value = on ? "off" : "on"; }}>Tree</Button>
    </span>
  );
}

function Branch({ dc, branch, current, name }: { dc: string; branch: string; current: string; name: string }): JSX.Element {
  // The way to the current folder is always open; its own content is in the list beside.
  const onTheWay = current !== branch && current.startsWith(branch);
  const open = branch === "" || onTheWay || opened.value.has(branch);
  const toggle = () => {
    const next = new Set(opened.value);
    if (!next.delete(branch)) next.add(branch);
    opened.value = next;
  };
  return (
    <div class="branch">
      <div class="branch-line">
        {branch === "" ? null : (
          <button type="button" class="twisty" aria-expanded={open} onClick={toggle} disabled={onTheWay}>
            <span aria-hidden="true">{open ? "▾" : "▸"}</span>
            <span class="sr-only">Folders in {name}</span>
          </button>
        )}
        <Link to={folderPath(dc, branch)} aria-current={current === branch ? "page" : undefined} title={name}>
          <Icon name="folder" className="folder" />
          <span class="ellipsis">{name || "∅"}</span>
        </Link>
      </div>
      {open && <Children dc={dc} branch={branch} current={current} />}
    </div>
  );
}

function Children({ dc, branch, current }: { dc: string; branch: string; current: string }): JSX.Element | null {
  const plain = branch === "" || isAddressable(branch);
  const live = useLive<string[]>(plain ? keyUrl(addressablePart(branch)) : null, { every: POLL_MS, query: { keys: "", separator: "/" } });
  const all = (live.data.value ?? []).filter((path) => path.endsWith("/") && path !== branch);
  const way = all.find((path) => current.startsWith(path));
  const folders = all.slice(0, SHOWN_MAX);
  if (way && !folders.includes(way)) folders.push(way);
  if (folders.length === 0) return null;
  return (
    <ul>
      {folders.map((path) => (
        <li key={path}>
          <Branch dc={dc} branch={path} current={current} name={path.slice(branch.length, -1)} />
        </li>
      ))}
      {all.length > folders.length && <li class="hint">and {formatNumber(all.length - folders.length)} more, in the list</li>}
    </ul>
  );
}
