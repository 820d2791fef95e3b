// Small building blocks that all pages share.
import { signal } from "@preact/signals";
import { Fragment } from "preact";
import type { AnchorHTMLAttributes, ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { HttpError, errorText } from "./api";
import { loginOpen, token } from "./settings";
import { Icon, type IconName } from "./icons";
import { href, location_, setQuery } from "./router";
import { readOnlyReason } from "./cluster";
import { writesRefused } from "./permissions";

interface LinkProps extends Omit<AnchorHTMLAttributes, "href"> {
  /** Below the content path. */
  to: string;
  children: ComponentChildren;
}

export function Link({ to, children, ...rest }: LinkProps): JSX.Element {
  return <a {...(rest as object)} href={href(to)}>{children}</a>;
}

// Title, heading, actions

export function PageHead(props: { title: string; above?: ComponentChildren; heading?: ComponentChildren; count?: string; children?: ComponentChildren }): JSX.Element {
  useEffect(() => {
    document.title = `${props.title} – pyconsul`;
  }, [props.title]);
  return (
    <div class="page-head">
      {props.above}
      <div class="page-title">
        <h1>
          {props.heading ?? props.title}
          {props.count !== undefined && <span class="count">{props.count}</span>}
        </h1>
        {props.children && <div class="actions">{props.children}</div>}
      </div>
    </div>
  );
}

interface ButtonProps {
  icon?: IconName;
  children: ComponentChildren;
  onClick: () => void;
  kind?: "primary" | "danger" | "plain" | "small";
  /** Only the icon is shown, the text is its name. */
  iconOnly?: boolean;
  /** It changes something in the cluster: off while nothing can be written, and not there where that is refused. */
  writes?: boolean;
  disabled?: boolean;
  title?: string;
  pressed?: boolean;
  id?: string;
}

export function Button({ icon, children, onClick, kind = "plain", iconOnly, writes, disabled, title, pressed, id }: ButtonProps): JSX.Element | null {
  if (writes && writesRefused.value) return null;
  const reason = writes ? readOnlyReason.value : "";
  return (
    <button
      type="button"
      id={id}
      class={`button ${kind} ${iconOnly ? "icon-only" : ""}`}
      onClick={onClick}
      disabled={disabled || reason !== ""}
      title={reason || title}
      aria-pressed={pressed}
    >
      {icon && <Icon name={icon} />}
      <span class={iconOnly ? "sr-only" : ""}>{children}</span>
    </button>
  );
}

// Status in colour, drawing and word

export type Level = "ok" | "warn" | "bad" | "none";

const LEVEL_OF: Record<string, Level> = { passing: "ok", warning: "warn", critical: "bad", alive: "ok", failed: "bad", left: "none", leaving: "warn" };

export function Status({ level, children }: { level: Level; children: ComponentChildren }): JSX.Element {
  return (
    <span class={`status ${level}`}>
      <Icon name={level === "none" ? "none" : level} />
      <span>{children}</span>
    </span>
  );
}

export function StatusOf({ word }: { word: string }): JSX.Element {
  return <Status level={LEVEL_OF[word] ?? "none"}>{word}</Status>;
}

export function Badge({ children, kind = "", title }: { children: ComponentChildren; kind?: string; title?: string }): JSX.Element {
  return <span class={`badge ${kind}`} title={title}>{children}</span>;
}

// Notices

export function Notice({ level = "none", title, children }: { level?: Level; title?: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class={`notice ${level}`}>
      {level !== "none" && <Icon name={level} />}
      <div>
        {title && <strong>{title}</strong>}
        {children && <div>{children}</div>}
      </div>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }): JSX.Element {
  return <p class="loading" role="status">Loading {what} …</p>;
}

/** What a page shows while it has no data: that it loads, or why it cannot. */
export function Waiting({ what, error }: { what: string; error: Error | null }): JSX.Element {
  if (error === null) return <Loading what={what} />;
  if (error instanceof HttpError && error.status === 403) return <Refused what={what} text={error.message} />;
  return (
    <Notice level="bad" title={`Cannot show ${what}`}>
      <p>{errorText(error)}</p>
    </Notice>
  );
}

/** The address stays, so that the page appears once a token allows it. */
function Refused({ what, text }: { what: string; text: string }): JSX.Element {
  return (
    <Notice level="warn" title={`You may not see ${what}`}>
      <p>The agent refused the request: {text}.</p>
      <p>{token.value ? "The token that this page uses does not allow it." : "This page uses no token."}</p>
      <p><Button icon="user" onClick={() => { loginOpen.value = true; }}>Log in with {token.value ? "another" : "a"} token</Button></p>
    </Notice>
  );
}

/** A long path breaks behind its slashes first. */
export function PathText({ path }: { path: string }): JSX.Element {
  return <>{path.split(/(?<=\/)/).map((part, at) => <Fragment key={at}>{at > 0 && <wbr />}{part}</Fragment>)}</>;
}

// Copying: browsers offer the clipboard to secure pages only, and this one is usually read over http://192.…

export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element {
  return (
    <Button icon="copy" iconOnly kind="small" onClick={() => void copy(text, what)} title={`Copy ${what}`}>
      Copy {what}
    </Button>
  );
}

export async function copy(text: string, what: string): Promise<void> {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const field = document.createElement("textarea");
    const opener = document.activeElement as HTMLElement | null;
    field.value = text;
    field.className = "off-screen";
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
    opener?.focus();
  }
  toast(done ? `Copied ${what}` : `Could not copy ${what}`, done ? "ok" : "bad");
}

// Toasts

export interface Toast {
  id: number;
  text: string;
  level: Level;
  action?: { label: string; run: () => void };
}

export const toasts = signal<Toast[]>([]);
let toastId = 0;
const TOAST_MS = 6000;
const TOAST_ACTION_MS = 30_000;

export function toast(text: string, level: Level = "ok", action?: Toast["action"]): void {
  const id = ++toastId;
  toasts.value = [...toasts.value.slice(-3), { id, text, level, action }];
  setTimeout(() => dismiss(id), action ? TOAST_ACTION_MS : TOAST_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, level, action }) => (
        <div key={id} class={`toast ${level}`}>
          <Icon name={level} />
          <span>{text}</span>
          {action && (
            <button type="button" class="button small" onClick={() => { dismiss(id); action.run(); }}>{action.label}</button>
          )}
          <button type="button" class="button small icon-only" onClick={() => dismiss(id)}>
            <Icon name="bad" />
            <span class="sr-only">Dismiss</span>
          </button>
        </div>
      ))}
    </div>
  );
}

// Dialogs

export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  const opener = useRef(document.activeElement as HTMLElement | null);
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => {
      dialog?.close();
      const back = opener.current;
      if (back?.isConnected) back.focus();
      else document.querySelector<HTMLElement>("main")?.focus();
    };
  }, []);
  return (
    <dialog ref={ref} class={wide ? "wide" : ""} aria-labelledby="dialog-title" onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <div class="dialog-head">
        <h2 id="dialog-title">{title}</h2>
        <Button icon="bad" iconOnly kind="small" onClick={onClose}>Close</Button>
      </div>
      {children}
    </dialog>
  );
}

export interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  confirm: string;
  /** Text that has to be typed first. */
  typed?: string;
  danger?: boolean;
  onConfirm: () => void | Promise<void>;
  onClose: () => void;
}

export function Confirm({ title, children, confirm, typed, danger, onConfirm, onClose }: ConfirmProps): JSX.Element {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    try {
      await onConfirm();
      onClose();
    } catch (problem) {
      setError(errorText(problem));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">
        {children}
        {typed !== undefined && (
          <label class="field">
            <span>Type <code>{typed}</code> to confirm</span>
            <input value={text} onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
          </label>
        )}
        {error && <Notice level="bad" title={error} />}
      </div>
      <div class="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind={danger ? "danger" : "primary"} onClick={() => void run()} disabled={busy || (typed !== undefined && text !== typed)} writes>
          {confirm}
        </Button>
      </div>
    </Dialog>
  );
}

// Search within a list

export function FilterBox({ label, shown, total }: { label: string; shown: number; total: number }): JSX.Element {
  const value = location_.value.query.get("filter") ?? "";
  return (
    <div class="filter">
      <Icon name="search" />
      <input
        type="search"
        class="filter-input"
        aria-label={label}
        placeholder={label}
        value={value}
        spellcheck={false}
        onInput={(event) => setQuery("filter", event.currentTarget.value)}
      />
      {value && <span class="filter-count" role="status">{shown} of {total}</span>}
    </div>
  );
}

export function Tabs({ tabs, current }: { tabs: { id: string; title: string; to: string }[]; current: string }): JSX.Element {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // On narrow screens the bar scrolls sideways: the current one should be in sight.
    const tab = bar.current?.querySelector<HTMLElement>("[aria-current]");
    if (bar.current && tab) bar.current.scrollLeft = tab.offsetLeft - bar.current.offsetLeft - 40;
  }, [current]);
  return (
    <nav class="tabs" aria-label="Sections of this page" ref={bar}>
      {tabs.map(({ id, title, to }) => (
        <Link key={id} to={to} class="tab" aria-current={id === current ? "page" : undefined}>{title}</Link>
      ))}
    </nav>
  );
}

/** Facts as term and value. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
