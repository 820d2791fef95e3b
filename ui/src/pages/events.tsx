// User events of the datacenter, and what changed while this tab was open.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call, errorText } from "../api";
import { asText, fromBase64, hexDump } from "../bytes";
import { feed } from "../feed";
import { formatTime, plural } from "../format";
import { useLive } from "../live";
import { type Column, DataTable } from "../table";
import { Button, Dialog, Empty, Notice, PageHead, Waiting, toast } from "../ui";

interface UserEvent {
  ID: string;
  Name: string;
  Payload: string | null;
  NodeFilter: string;
  ServiceFilter: string;
  TagFilter: string;
  LTime: number;
}

export function EventsPage(): JSX.Element {
  const live = useLive<UserEvent[]>("event/list", { every: 2000 });
  const [firing, setFiring] = useState(false);
  const events = [...(live.data.value ?? [])].reverse();
  const columns: Column<UserEvent>[] = [
    { id: "name", title: "Event", main: true, render: ({ Name }) => <strong>{Name}</strong> },
    { id: "payload", title: "Payload", width: "minmax(0, 2fr)", render: ({ Payload }) => <code class="ellipsis preview">{payloadText(Payload)}</code> },
    { id: "for", title: "For", render: ({ NodeFilter, ServiceFilter, TagFilter }) => [NodeFilter && `nodes ${NodeFilter}`, ServiceFilter && `service ${ServiceFilter}`, TagFilter && `tag ${TagFilter}`].filter(Boolean).join(", ") || <span class="hint">everybody</span> },
    { id: "time", title: "Order", width: "5rem", numeric: true, render: ({ LTime }) => String(LTime) },
    { id: "id", title: "ID", wideOnly: true, render: ({ ID }) => <code class="ellipsis" title={ID}>{ID}</code> },
  ];
  return (
    <>
      <PageHead title="Events" count={live.at.value ? plural(events.length, "user event") : undefined}>
        <Button icon="event" kind="primary" writes onClick={() => setFiring(true)}>Fire an event</Button>
      </PageHead>
      {live.at.value === 0 ? <Waiting what="the events" error={live.error.value} /> : events.length === 0 ? (
        <Empty title="No user event was seen by this agent"><p>Programs fire them with <code>consul event -name=…</code>; agents keep the last 256.</p></Empty>
      ) : <DataTable label="User events, newest first" columns={columns} rows={events} rowKey={({ ID }) => ID} />}
      <h2>Seen in this tab</h2>
      {feed.value.length === 0 ? <p class="hint">Changes of leader, members, engines and networks are listed here; they are noticed while a page that shows them is open.</p> : (
        <>
          <p><Button kind="small" onClick={() => { feed.value = []; }}>Clear</Button></p>
          <ul class="feed">{feed.value.map(({ id, at, text }) => <li key={id}><time>{formatTime(at)}</time> {text}</li>)}</ul>
        </>
      )}
      {firing && <FireDialog onClose={() => setFiring(false)} onDone={live.refresh} />}
    </>
  );
}

function payloadText(payload: string | null): string {
  const bytes = fromBase64(payload);
  return asText(bytes) ?? hexDump(bytes);
}

function FireDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = useState("");
  const [payload, setPayload] = useState("");
  const [error, setError] = useState("");
  const fire = async () => {
    try {
      await call("PUT", `event/fire/${encodeURIComponent(name)}`, { body: payload });
      toast(`Fired ${name}`);
      onDone();
      onClose();
    } catch (problem) {
      setError(errorText(problem));
    }
  };
  return (
    <Dialog title="Fire an event" onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void fire(); }}>
        <div class="dialog-body">
          <label class="field"><span>Name</span><input value={name} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" spellcheck={false} /></label>
          <label class="field"><span>Payload (some hundred bytes)</span><textarea rows={3} value={payload} onInput={(event) => setPayload(event.currentTarget.value)} spellcheck={false} /></label>
          <p class="hint">Every agent of the datacenter gets it, and may run what it was configured to run.</p>
          {error && <Notice level="bad" title={error} />}
        </div>
        <div class="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" writes disabled={name === ""} onClick={() => void fire()}>Fire</Button>
        </div>
      </form>
    </Dialog>
  );
}
