// Sessions and locks: who holds what, for how long, and how to end it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useChanged } from "../changed";
import { Facets, NothingFound, searchText } from "../facets";
import { matcher } from "../filter";
import { formatNanos, plural } from "../format";
import { folderPath, keyPath, paths } from "../paths";
import { location_ } from "../router";
import { type Session, sessionName, tells, timeLeft, useSessions } from "../sessions";
import { type Column, DataTable, compareText } from "../table";
import { Button, CopyButton, Empty, PathText, FilterBox, Link, PageHead, Status, Waiting } from "../ui";
import { EndSession } from "./session-box";

export function SessionsPage({ dc }: { dc: string }): JSX.Element {
  const live = useSessions();
  const filter = location_.value.query.get("filter") ?? "";
  const sessions = live.data.value ?? [];
  const changed = useChanged(live.at.value ? sessions : undefined, ({ ID }) => ID, ({ HeldKeys }) => (HeldKeys ?? []).join(" ") || "-");
  const match = matcher(filter, ["node", "key", "name"]);
  const shown = sessions.filter((session) =>
    match({ text: searchText({ Name: [session.Name], ID: [session.ID], Node: [session.Node], Keys: session.HeldKeys ?? [], Behavior: [session.Behavior, session.TTL] }), fields: { node: [session.Node], key: session.HeldKeys ?? [], name: [session.Name] } }),
  );
  return (
    <>
      <PageHead title="Sessions and locks" count={live.at.value ? plural(sessions.length, "session") : undefined} />
      <div class="toolbar"><FilterBox label="Filter sessions" shown={shown.length} total={sessions.length} /><Facets facets={[]} properties={["Name", "ID", "Node", "Keys", "Behavior"]} /></div>
      {live.at.value === 0 ? <Waiting what="the sessions" error={live.error.value} /> : sessions.length === 0 ? (
        <Empty title="There are no sessions"><p>Programs make a session to hold locks: a Docker engine makes one for its registration, <code>consul lock</code> one for the time that its command runs.</p></Empty>
      ) : shown.length === 0 ? <NothingFound what="sessions" /> : (
        <SessionTable dc={dc} sessions={shown} readAt={live.at.value} refresh={live.refresh} changed={changed} />
      )}
      {!tells.value && <p class="hint">This agent does not tell the time that sessions have left, nor the keys that they hold.</p>}
    </>
  );
}

export function SessionTable({ dc, sessions, readAt, refresh, changed }: { dc: string; sessions: Session[]; readAt: number; refresh: () => void; changed?: ReadonlySet<string> }): JSX.Element {
  const [ending, setEnding] = useState<Session | null>(null);
  const columns: Column<Session>[] = [
    {
      id: "Name", title: "Session", main: true, width: "minmax(0, 2fr)", sort: (a, b) => compareText(sessionName(a), sessionName(b)),
      render: (session) => (
        <span class="stack">
          {session.Name && <strong class="ellipsis">{session.Name}</strong>}
          <span class="id-line"><code class="ellipsis" title={session.ID}>{session.ID}</code> <CopyButton text={session.ID} what={`the id of session ${session.ID}`} /></span>
        </span>
      ),
    },
    { id: "Node", title: "Node", sort: (a, b) => compareText(a.Node, b.Node), render: ({ Node }) => <Link data-row to={paths.node(dc, Node, "lock-sessions")}>{Node}</Link> },
    {
      id: "held", title: "Holds", width: "minmax(0, 3.2fr)",
      render: ({ HeldKeys }) => HeldKeys === undefined ? <span class="hint">unknown</span> : HeldKeys.length === 0 ? <span class="hint">nothing</span> : (
        <ul class="plain-list">
          {HeldKeys.slice(0, 4).map((key) => <li key={key}><Link class="break" to={key.endsWith("/") ? folderPath(dc, key) : keyPath(dc, key)}><PathText path={key} /></Link></li>)}
          {HeldKeys.length > 4 && <li class="hint">and {HeldKeys.length - 4} more</li>}
        </ul>
      ),
    },
    {
      id: "left", title: "Time left", width: "7rem", sort: (a, b) => (a.ExpiresInMs ?? 1e12) - (b.ExpiresInMs ?? 1e12),
      render: (session) => {
        const { text, late } = timeLeft(session, readAt);
        return late ? <Status level="warn">{text}</Status> : text;
      },
    },
    { id: "ttl", title: "TTL", width: "4.5rem", wideOnly: true, render: ({ TTL }) => TTL || "none" },
    { id: "behavior", title: "At its end", width: "7.5rem", render: ({ Behavior }) => (Behavior === "delete" ? "keys deleted" : "keys released") },
    { id: "delay", title: "Lock delay", width: "6rem", numeric: true, wideOnly: true, render: ({ LockDelay }) => formatNanos(LockDelay) },
    { id: "actions", title: "", width: "7rem", render: (session) => <Button kind="small" writes onClick={() => setEnding(session)}>Invalidate<span class="sr-only"> {sessionName(session)}</span></Button> },
  ];
  return (
    <>
      <DataTable label="Sessions" columns={columns} rows={sessions} rowKey={({ ID }) => ID} defaultSort="Node:asc" changed={changed} />
      {ending && <EndSession session={ending} onClose={() => setEnding(null)} onDone={refresh} />}
    </>
  );
}
