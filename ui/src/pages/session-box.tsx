// The session that holds a key, and how to end it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call } from "../api";
import { formatNanos, joinWords, plural } from "../format";
import { folderPath, keyPath, paths } from "../paths";
import { type Session, timeLeft, useSessions } from "../sessions";
import { Button, Confirm, Facts, Link, Notice, Status, toast } from "../ui";

export function SessionBox({ dc, id, heldKey }: { dc: string; id: string; heldKey: string }): JSX.Element {
  const sessions = useSessions();
  const session = sessions.data.value?.find(({ ID }) => ID === id);
  const [ending, setEnding] = useState(false);
  if (!session) {
    return <Notice level="none" title={`Locked by session ${id}`} />;
  }
  const left = timeLeft(session, sessions.at.value);
  const others = (session.HeldKeys ?? []).filter((key) => key !== heldKey);
  return (
    <section class="panel lock-box" aria-label="Lock">
      <div class="panel-head">
        <h2>Locked</h2>
        <Button kind="danger" writes onClick={() => setEnding(true)}>Invalidate session</Button>
      </div>
      <Facts
        facts={[
          ["Session", <Link to={`${paths.sessions(dc)}?filter=${id}`}>{session.Name || id}</Link>],
          ["Node", <Link to={paths.node(dc, session.Node, "lock-sessions")}>{session.Node}</Link>],
          ["Time left", left.late ? <Status level="warn">{left.text}, not renewed in time</Status> : left.text],
          ["TTL", session.TTL || "none"],
          ["When it ends", behaviorText(session)],
          ["Lock delay", formatNanos(session.LockDelay)],
          ...(others.length > 0 ? [["Also holds", <ul class="plain-list">{others.slice(0, 10).map((key) => <li key={key}><Link to={key.endsWith("/") ? folderPath(dc, key) : keyPath(dc, key)}>{key}</Link></li>)}</ul>] as [string, JSX.Element]] : []),
        ]}
      />
      {ending && <EndSession session={session} onClose={() => setEnding(false)} onDone={sessions.refresh} />}
    </section>
  );
}

export function behaviorText(session: Session): string {
  return session.Behavior === "delete" ? "its keys are deleted" : "its keys are released";
}

export function EndSession({ session, onClose, onDone }: { session: Session; onClose: () => void; onDone: () => void }): JSX.Element {
  const held = session.HeldKeys;
  return (
    <Confirm
      title={`Invalidate session ${session.Name || session.ID}`}
      confirm="Invalidate"
      danger
      onClose={onClose}
      onConfirm={async () => {
        await call("PUT", `session/destroy/${encodeURIComponent(session.ID)}`);
        toast(`Session ${session.Name || session.ID} is invalidated`);
        onDone();
      }}
    >
      <p>
        {held === undefined
          ? `The keys that it holds will be ${session.Behavior === "delete" ? "deleted" : "released"}.`
          : held.length === 0
            ? "It holds no key."
            : <>{session.Behavior === "delete" ? <strong>{plural(held.length, "key")} will be deleted: </strong> : `${plural(held.length, "key")} will be released: `}<span class="break">{joinWords(held.slice(0, 8))}{held.length > 8 && " and more"}</span>.</>}
      </p>
      <p class="hint">Whoever created it is told by its next renewal, and may create another.</p>
    </Confirm>
  );
}
