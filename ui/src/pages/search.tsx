// Search over everything: keys, nodes, services, sessions.
import type { JSX } from "preact";
import { useLive } from "../live";
import { useMembers } from "../members";
import { paths } from "../paths";
import { location_ } from "../router";
import { useSessions } from "../sessions";
import { Link, PageHead } from "../ui";
import { SearchPanel } from "./kv-search";

export function SearchPage({ dc }: { dc: string }): JSX.Element {
  const text = (location_.value.query.get("q") ?? "").toLowerCase();
  const members = useMembers().data.value ?? [];
  const services = Object.keys(useLive<Record<string, string[]>>("catalog/services", { every: 5000 }).data.value ?? {});
  const sessions = useSessions().data.value ?? [];
  const hit = (...words: string[]) => text.length >= 2 && words.some((word) => word.toLowerCase().includes(text));
  const found: [string, string, string][] = [
    ...members.filter(({ Name, Addr }) => hit(Name, Addr)).map(({ Name, Addr }): [string, string, string] => ["node", `${Name} (${Addr})`, paths.node(dc, Name)]),
    ...services.filter((name) => hit(name)).map((name): [string, string, string] => ["service", name, paths.service(dc, name)]),
    ...sessions.filter(({ ID, Name }) => hit(ID, Name)).map(({ ID, Name }): [string, string, string] => ["session", Name || ID, `${paths.sessions(dc)}?filter=${ID}`]),
  ];
  return (
    <>
      <PageHead title="Search" />
      <SearchPanel dc={dc} prefix="" />
      {found.length > 0 && (
        <>
          <h2>Elsewhere</h2>
          <ul class="plain-list">{found.map(([kind, name, to]) => <li key={to}>{kind} <Link to={to}>{name}</Link></li>)}</ul>
        </>
      )}
    </>
  );
}
