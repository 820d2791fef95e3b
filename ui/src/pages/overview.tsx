// Is my cluster well? One sentence, then what it rests on.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { unreachableSince } from "../api";
import { leader, noLeader, leaderlessSince, now } from "../cluster";
import { type Docker, useDocker } from "../docker";
import { feed, followDocker, followMembers } from "../feed";
import { formatNumber, formatSpan, formatTime, joinWords, parseDuration, plural } from "../format";
import { Icon } from "../icons";
import { useLive } from "../live";
import { type Member, type RaftServer, isServer, statusWord, useHealth, useMembers, useRaft, useSelf, versionOf } from "../members";
import { folderPath, paths } from "../paths";
import { useSessions } from "../sessions";
import { checklist, expectedEngines } from "../settings";
import { compareText } from "../table";
import { Badge, Button, type Level, Link, PageHead, Status, StatusOf, Waiting } from "../ui";

export interface Check {
  Node: string;
  CheckID: string;
  Name: string;
  Status: string;
  Notes: string;
  Output: string;
  ServiceID: string;
  ServiceName: string;
  Type: string;
  ServiceTags?: string[] | null;
}

interface Verdict {
  level: Level;
  word: string;
  text: string;
}

interface Facts {
  servers: RaftServer[];
  members: Member[];
  checks: Check[];
  docker: Docker | null;
  expected: number;
  host: string;
  /** Names of the servers that autopilot calls unhealthy. */
  sick: string[];
}

/** The first that holds. */
export function verdict({ servers, members, checks, docker, expected, host, sick }: Facts): Verdict {
  if (unreachableSince.value !== null)
    return { level: "bad", word: "Unreachable", text: `${host} does not answer since ${formatTime(unreachableSince.value)}. What is shown below is how it was then.` };
  const voters = servers.filter(({ Voter }) => Voter);
  const quorum = Math.floor(voters.length / 2) + 1;
  const stateOf = (server: RaftServer) => members.find(({ Tags, Name }) => Tags.id === server.ID || Name === server.Node);
  const down = voters.filter((server) => stateOf(server)?.Status !== 1);
  const alive = voters.length - down.length;
  if (noLeader.value)
    return {
      level: "bad", word: "No leader",
      text: `Writes are refused since ${formatTime(leaderlessSince.value ?? 0)}. ${alive} of ${plural(voters.length, "server")} ${alive === 1 ? "is" : "are"} alive, ${quorum} ${quorum === 1 ? "is" : "are"} needed.`,
    };
  const spare = Math.max(0, alive - quorum);
  const losses = spare === 0 ? "it survives no further loss" : `it survives ${spare} more ${spare === 1 ? "loss" : "losses"}`;
  if (down.length > 0)
    return { level: "bad", word: "Degraded", text: `${joinWords(down.map(({ Node }) => Node))} ${down.length === 1 ? "is" : "are"} not alive. The cluster works, ${losses}.` };
  const ailing = voters.filter(({ Node }) => sick.includes(Node)).map(({ Node }) => Node);
  if (ailing.length > 0)
    return { level: "bad", word: "Degraded", text: `${joinWords(ailing)} ${ailing.length === 1 ? "is" : "are"} alive, but ${ailing.length === 1 ? "lags" : "lag"} behind or ${ailing.length === 1 ? "does" : "do"} not answer the leader in time.` };
  const troubled: string[] = [];
  const critical = checks.filter(({ Status: status }) => status === "critical");
  if (critical.length > 0) {
    const [first] = critical;
    troubled.push(`${plural(critical.length, "check")} ${critical.length === 1 ? "is" : "are"} critical: ${first.Name} on ${first.Node}${critical.length > 1 ? " and more" : ""}`);
  }
  const engines = docker?.engines.length ?? 0;
  if (docker && !docker.empty && engines < expected) troubled.push(`${engines} of ${plural(expected, "Docker engine")} registered`);
  if (voters.length > 0 && voters.length < 3)
    return {
      level: "warn", word: "Single point of failure",
      text: `${voters.length === 1 ? `The only server, ${voters[0].Node}, works` : "Two servers work"}, but the cluster survives no loss. Three servers survive one.${troubled.length > 0 ? ` Also: ${troubled.join("; ")}.` : ""}`,
    };
  if (troubled.length > 0) return { level: "warn", word: "Attention", text: `${troubled.join("; ")}.` };
  const leading = servers.find(({ Leader }) => Leader)?.Node ?? "?";
  return {
    level: "ok", word: "Healthy",
    text: `All ${voters.length} servers are alive, ${leading} leads, and the cluster survives ${spare} ${spare === 1 ? "loss" : "losses"}.`,
  };
}

export function expectedCount(members: Member[]): number {
  const chosen = Number(expectedEngines.value);
  return expectedEngines.value !== "" && Number.isInteger(chosen) ? chosen : members.filter(({ Status: status }) => status === 1 || status === 4).length;
}

export function OverviewPage({ dc }: { dc: string }): JSX.Element {
  const members = useMembers();
  const raft = useRaft();
  const self = useSelf();
  const checks = useLive<Check[]>("health/state/any");
  const sessions = useSessions();
  const { docker } = useDocker();
  useEffect(() => {
    if (docker) followDocker(docker);
  }, [docker]);
  useEffect(() => {
    if (members.data.value) followMembers(members.data.value);
  }, [members.data.value]);

  const list = members.data.value ?? [];
  const servers = [...(raft.data.value?.Servers ?? [])].sort((a, b) => compareText(a.Node, b.Node));
  const health = useHealth();
  const stats = self.data.value?.Stats.raft ?? {};
  const expected = expectedCount(list);
  const ready = members.at.value > 0 && raft.at.value > 0;
  if (!ready && unreachableSince.value === null) {
    return (
      <>
        <PageHead title="Overview" />
        <Waiting what="the cluster" error={members.error.value ?? raft.error.value} />
      </>
    );
  }
  const sick = (health.data.value?.Servers ?? []).filter(({ Healthy }) => !Healthy).map(({ Name }) => Name);
  const found = verdict({ servers, members: list, checks: checks.data.value ?? [], docker, expected, host: window.location.host, sick });
  // A client agent has no part in Raft: then autopilot's word for it.
  const term = stats.term ?? health.data.value?.Servers?.find((each) => each.Leader)?.LastTerm;
  const tip = Math.max(0, ...servers.map(({ LastIndex }) => LastIndex));
  const serverMembers = list.filter(isServer);
  const leadingNode = servers.find((server) => server.Leader) ?? servers.find(({ Address }) => Address === leader.value);
  return (
    <>
      <PageHead title="Overview" />
      <section class={`verdict ${found.level}`} aria-label="Health of the cluster">
        <Icon name={found.level} />
        <p role="status" id="verdict"><strong>{found.word}.</strong> {found.text}</p>
      </section>

      <dl class="figures">
        <Figure term="Leader" value={leader.value ? (leadingNode?.Node ?? leader.value) : "none"} detail={leader.value || "no election has been won"} />
        <Figure term="Term" value={term === undefined ? "–" : String(term)} detail="of the election" />
        <Figure term="Commit index" value={stats.commit_index ? formatNumber(Number(stats.commit_index)) : tip > 0 ? formatNumber(tip) : "–"} detail={commitDetail(stats)} />
        <Figure term="Voters" value={String(servers.filter(({ Voter }) => Voter).length)} detail={`of ${plural(servers.length, "server")}`} />
        <Figure term="Data age" value={raft.at.value ? formatSpan(now.value - Math.max(raft.at.value, members.at.value)) : "–"} detail={`read from ${self.data.value?.Config.NodeName ?? window.location.host}`} />
      </dl>

      <h2>Servers</h2>
      <ul class="cards">
        {servers.map((server) => {
          const member = serverMembers.find(({ Tags, Name }) => Tags.id === server.ID || Name === server.Node);
          const isLeader = server === leadingNode;
          const lag = tip - server.LastIndex;
          const own = self.data.value?.Config.NodeID === server.ID;
          const judged = health.data.value?.Servers?.find(({ ID }) => ID === server.ID);
          const contact = own && stats.last_contact ? stats.last_contact : judged?.LastContact;
          return (
            <li key={server.ID} class={`card ${isLeader ? "leader" : ""}`}>
              <div class="card-head">
                <Link to={paths.node(dc, server.Node)}>{server.Node}</Link>
                {isLeader ? <Badge kind="accent">Leader</Badge> : <Badge>{server.Voter ? "Follower" : "Not voting"}</Badge>}
              </div>
              <p class="marks">
                {member ? <StatusOf word={statusWord(member)} /> : <Status level="warn">not a member</Status>}
                {judged && !judged.Healthy && <Status level="warn">unhealthy</Status>}
              </p>
              <dl class="card-facts">
                <dt>Address</dt><dd>{server.Address}</dd>
                <dt>Log</dt><dd>{isLeader ? `index ${formatNumber(server.LastIndex)}` : server.LastIndex === 0 ? "unknown" : lag === 0 ? "up to date" : `${plural(lag, "entry", "entries")} behind`}</dd>
                <dt>Last contact</dt><dd>{isLeader ? "it leads" : contact ? `${shortDuration(contact)} ago` : "unknown"}</dd>
                <dt>Version</dt><dd>{member ? versionOf(member) : "–"}</dd>
              </dl>
            </li>
          );
        })}
      </ul>

      <div class="columns">
        <section>
          <h2>Docker</h2>
          <DockerStrip dc={dc} docker={docker} expected={expected} />
        </section>
        <section>
          <h2>In the store</h2>
          <ul class="counts">
            <Count to={paths.nodes(dc)} count={list.length} one="member" />
            <Count to={paths.sessions(dc)} count={sessions.data.value?.length} one="session" />
            <Count to={`${paths.services(dc)}`} count={checks.data.value?.length} one="check" detail={failing(checks.data.value ?? [])} />
            <li><Link to={folderPath(dc, "")}>Key/Value</Link></li>
          </ul>
        </section>
      </div>

      <Checklist servers={servers} docker={docker} expected={expected} />

      <section>
        <h2>Seen in this tab</h2>
        {feed.value.length === 0 ? <p class="hint">Changes of leader, members, engines and networks are listed here while the page is open.</p> : (
          <ul class="feed">
            {feed.value.slice(0, 10).map(({ id, at, text }) => <li key={id}><time>{formatTime(at)}</time> {text}</li>)}
          </ul>
        )}
      </section>
    </>
  );
}

function commitDetail(stats: Record<string, string>): string {
  if (!stats.commit_index) return "the leader's log";
  const waiting = Number(stats.commit_index) - Number(stats.applied_index);
  return waiting > 0 ? `${formatNumber(waiting)} not applied yet` : "all applied here";
}

/** A Go duration without needless digits. */
function shortDuration(text: string): string {
  const ms = parseDuration(text.replace("µs", "us"));
  return ms >= 1000 ? formatSpan(ms) : ms >= 1 ? `${Math.round(ms)} ms` : "less than 1 ms";
}

function failing(checks: Check[]): string {
  const critical = checks.filter(({ Status: status }) => status === "critical").length;
  const warning = checks.filter(({ Status: status }) => status === "warning").length;
  const parts = [critical && `${critical} critical`, warning && `${warning} warning`].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : checks.length > 0 ? "all passing" : "";
}

function Figure({ term, value, detail }: { term: string; value: string; detail: string }): JSX.Element {
  return (
    <div class="figure">
      <dt>{term}</dt>
      <dd>
        <span class="figure-value">{value}</span>
        <span class="hint">{detail}</span>
      </dd>
    </div>
  );
}

function Count({ to, count, one, detail }: { to: string; count: number | undefined; one: string; detail?: string }): JSX.Element {
  return <li><Link to={to}>{count === undefined ? `${one}s` : plural(count, one)}</Link>{detail && <span class="hint"> {detail}</span>}</li>;
}

function DockerStrip({ dc, docker, expected }: { dc: string; docker: Docker | null; expected: number }): JSX.Element {
  if (!docker) return <p class="hint">Loading …</p>;
  if (docker.empty) return <p class="hint">No Docker engine has registered here. <Link to={paths.docker(dc)}>How to start one</Link></p>;
  const count = docker.engines.length;
  const problems = [...docker.networks, ...docker.endpoints].filter((each) => each.problems.length > 0).length;
  return (
    <>
      <p><Status level={count >= expected ? "ok" : "warn"}>{count > expected ? plural(count, "engine") : `${count} of ${plural(expected, "engine")}`}: {joinWords(docker.engines.map(({ address }) => address)) || "none"}</Status></p>
      <p><Link to={paths.docker(dc)}>{plural(docker.networks.length, "network")}, {plural(docker.endpoints.length, "endpoint")}</Link></p>
      {problems > 0 && <p><Status level="warn">{plural(problems, "problem")}</Status></p>}
    </>
  );
}

function Checklist({ servers, docker, expected }: { servers: RaftServer[]; docker: Docker | null; expected: number }): JSX.Element | null {
  const hosts = new Set((docker?.endpoints ?? []).map(({ host }) => host));
  const steps: [string, boolean][] = [
    ["Servers joined", servers.length > 0],
    ["Leader elected", Boolean(leader.value)],
    ["One loss survivable", servers.filter(({ Voter }) => Voter).length >= 3],
    ["Engines registered", (docker?.engines.length ?? 0) >= Math.max(1, expected)],
    ["First overlay network", (docker?.networks.length ?? 0) > 0],
    ["Containers on two engines", hosts.size > 1],
  ];
  if (checklist.value === "off" || steps.every(([, done]) => done)) return null;
  return (
    <section>
      <h2>On the way to overlay networks <Button kind="small" onClick={() => { checklist.value = "off"; }}>Hide these steps</Button></h2>
      <ol class="checklist">
        {steps.map(([text, done]) => (
          <li key={text} class={done ? "done" : ""}>
            <Icon name={done ? "ok" : "none"} />
            <span>{text}</span>
            <span class="sr-only">{done ? " (done)" : " (not yet)"}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
