// The frame around all pages: header, menu, banners, the page of the current address.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { lastAnswerAt, unreachableSince } from "./api";
import { datacenters, leaderlessSince, noLeader, now, retryAt, retryNow } from "./cluster";
import { formatSpan, formatTime } from "./format";
import { Icon, type IconName } from "./icons";
import { paused, pausedSince, setPaused } from "./live";
import { access, refusal } from "./permissions";
import { type Route, folderPath, paths } from "./paths";
import { go, href, leaving, location_, ownDatacenter } from "./router";
import { loginOpen, startPage, theme, token } from "./settings";
import { helpOpen } from "./shortcuts";
import { Button, Confirm, Dialog, Empty, Link, Loading, Notice, PageHead, Toasts } from "./ui";
import { DockerPage } from "./pages/docker";
import { EventsPage } from "./pages/events";
import { CreatePage } from "./pages/kv-create";
import { FolderPage } from "./pages/kv-folder";
import { GuessPage, KeyPage } from "./pages/kv-key";
import { parentOf } from "./pages/kv-bulk";
import { WithTree } from "./pages/kv-tree";
import { NodePage, NodesPage } from "./pages/nodes";
import { OverviewPage } from "./pages/overview";
import { SearchPage } from "./pages/search";
import { ServicePage, ServicesPage } from "./pages/services";
import { SessionsPage } from "./pages/sessions";
import { SettingsPage, TokenDialog } from "./pages/settings";

const MENU: [string, IconName, (dc: string) => string, string[]][] = [
  ["Overview", "overview", paths.overview, ["overview"]],
  ["Docker", "docker", paths.docker, ["docker"]],
  ["Key/Value", "key", (dc) => folderPath(dc, ""), ["folder", "key", "create", "guess"]],
  ["Nodes", "server", paths.nodes, ["nodes", "node"]],
  ["Sessions", "session", paths.sessions, ["sessions"]],
  ["Services", "services", paths.services, ["services", "service"]],
  ["Events", "event", paths.events, ["events"]],
  ["Settings", "settings", paths.settings, ["settings"]],
];

export function App(): JSX.Element {
  const { route } = location_.value;
  const dc = "dc" in route && route.dc && datacenters.value.includes(route.dc) ? route.dc : (datacenters.value[0] ?? ownDatacenter);
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [route]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <header class="top">
        <button type="button" class="button icon-only menu-button" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>
          <Icon name="menu" />
          <span class="sr-only">Menu</span>
        </button>
        <Link to={paths.overview(dc)} class="brand">
          <Logo />
          <span>pyconsul</span>
        </Link>
        <span class="dc" title="Datacenter">{dc}</span>
        <span class="spacer" />
        <button type="button" class="button icon-only" onClick={() => go(paths.search(dc, ""))}>
          <Icon name="search" />
          <span class="sr-only">Search everything</span>
        </button>
        <LiveButton />
        <ThemeButton />
        <button type="button" class="button icon-only wide-only" onClick={() => { helpOpen.value = true; }}>
          <Icon name="help" />
          <span class="sr-only">Keyboard shortcuts</span>
        </button>
      </header>
      <nav id="menu" class={`menu ${open ? "open" : ""}`} aria-label="Pages">
        <ul>
          {MENU.map(([title, icon, to, pages]) => (
            <li key={title}>
              <Link to={to(dc)} aria-current={pages.includes(route.page) ? "page" : undefined}>
                <Icon name={icon} />
                <span>{title}</span>
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" tabIndex={-1}>
        <Banners />
        <Page route={route} />
      </main>
      <Toasts />
      {leaving.value && (
        <Confirm
          title="Leave this page?"
          confirm="Leave"
          danger
          onClose={() => { leaving.value = null; }}
          onConfirm={() => leaving.value?.go()}
        >
          <p>{leaving.value.question}</p>
        </Confirm>
      )}
      {helpOpen.value && <Help />}
      {loginOpen.value && <TokenDialog onClose={() => { loginOpen.value = false; }} />}
    </>
  );
}

function Page({ route }: { route: Route }): JSX.Element {
  const known = datacenters.value;
  const dc = "dc" in route ? route.dc : undefined;
  const start = route.page === "start" ? (ownDatacenter || known[0]) : undefined;
  useEffect(() => {
    if (start) go(startPage.peek() === "services" ? paths.services(start) : paths.overview(start), true);
  }, [start]);
  if (dc !== undefined && known.length > 0 && !known.includes(dc)) {
    return (
      <>
        <PageHead title="Unknown datacenter" />
        <Empty title={`There is no datacenter ${dc}`}>
          <p>Known here: {known.map((name) => <Link key={name} to={paths.overview(name)}>{name}</Link>)}</p>
        </Empty>
      </>
    );
  }
  switch (route.page) {
    case "start": return <Loading what="the cluster" />;
    case "overview": return <OverviewPage dc={route.dc} />;
    case "docker": return <DockerPage {...route} />;
    case "folder": return <WithTree {...route}><FolderPage key={route.prefix} {...route} /></WithTree>;
    case "key": return <WithTree dc={route.dc} prefix={parentOf(route.key)}><KeyPage key={route.key} dc={route.dc} entryKey={route.key} /></WithTree>;
    case "guess": return <GuessPage key={route.key} dc={route.dc} entryKey={route.key} />;
    case "create": return <CreatePage key={route.prefix} {...route} />;
    case "nodes": return <NodesPage dc={route.dc} />;
    case "node": return <NodePage key={route.name} {...route} />;
    case "sessions": return <SessionsPage dc={route.dc} />;
    case "services": return <ServicesPage dc={route.dc} />;
    case "service": return <ServicePage key={route.name} {...route} />;
    case "events": return <EventsPage />;
    case "search": return <SearchPage dc={route.dc} />;
    case "settings": return <SettingsPage />;
    case "acls": return <AclPage />;
    case "missing": return (
      <>
        <PageHead title="Not found" />
        <Empty title="There is no such page"><p><Link to={paths.overview(known[0] ?? ownDatacenter)}>Overview</Link></p></Empty>
      </>
    );
  }
}

function AclPage(): JSX.Element {
  return (
    <>
      <PageHead title="Access control" />
      <Notice title={access.value === "off" ? "Access control is off in this cluster" : "Tokens, policies and roles are not managed on this page"}>
        {access.value === "off" && <p>Everybody who reaches an agent may read and write everything, so there are no tokens, policies, roles or auth methods to show.</p>}
        <p>Use <code>pyconsul acl</code> where the cluster has access control on. {token.value ? "You are logged in with a token." : <Button kind="small" onClick={() => { loginOpen.value = true; }}>Log in with a token</Button>}</p>
      </Notice>
    </>
  );
}

/** What is wrong between this page and the cluster, with how old the data is. */
function Banners(): JSX.Element {
  const since = unreachableSince.value;
  return (
    <div class="banners" role="status" aria-live="polite">
      {since !== null ? (
        <Banner level="bad">
          Cannot reach {window.location.host} since {formatTime(since)}.
          {/* Counting seconds is for the eyes only. */}
          <span aria-hidden="true">
            {lastAnswerAt.value > 0 && ` The data below is ${formatSpan(now.value - lastAnswerAt.value)} old.`} Trying again in {Math.max(1, Math.ceil((retryAt.value - now.value) / 1000))} s.
          </span> <Button kind="small" onClick={retryNow}>Try now</Button>
        </Banner>
      ) : noLeader.value ? (
        <Banner level="bad">
          No leader since {formatTime(leaderlessSince.value ?? 0)}: nothing can be written until enough servers are back. The data below is what this server has.
        </Banner>
      ) : refusal.value !== "" ? (
        <Banner level="none">Read-only: {refusal.value}. {access.value === "on" && <Button kind="small" onClick={() => { loginOpen.value = true; }}>Log in with {token.value ? "another" : "a"} token</Button>}</Banner>
      ) : null}
      {paused.value && (
        <Banner level="none">Paused since {formatTime(pausedSince.value)}: the page does not follow changes. <Button kind="small" onClick={() => setPaused(false)}>Follow again</Button></Banner>
      )}
    </div>
  );
}

function Banner({ level, children }: { level: "bad" | "none"; children: ComponentChildren }): JSX.Element {
  return <div class={`banner ${level}`}>{level === "bad" && <Icon name="warn" />}<span>{children}</span></div>;
}

function LiveButton(): JSX.Element {
  const off = paused.value;
  const lost = unreachableSince.value !== null;
  return (
    <button type="button" class={`button live ${lost ? "lost" : off ? "off" : "on"}`} aria-pressed={!off} onClick={() => setPaused(!off)} title={off ? "Follow changes again" : "Stop following changes"}>
      {off ? <Icon name="play" /> : <span class="dot" aria-hidden="true" />}
      <span>{lost ? "Offline" : off ? "Paused" : "Live"}</span>
    </button>
  );
}

function ThemeButton(): JSX.Element {
  const next: Record<string, string> = { system: "light", light: "dark", dark: "system" };
  const icon: IconName = theme.value === "light" ? "sun" : theme.value === "dark" ? "moon" : "half";
  return (
    <button type="button" class="button icon-only" onClick={() => { theme.value = next[theme.value] ?? "system"; }} title={`Colours: ${theme.value}`}>
      <Icon name={icon} />
      <span class="sr-only">Colours: {theme.value}. Change to {next[theme.value] ?? "system"}</span>
    </button>
  );
}

function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M16 9 9 22h14z" />
      <circle cx="16" cy="9" r="4" />
      <circle cx="9" cy="22" r="4" />
      <circle cx="23" cy="22" r="4" />
    </svg>
  );
}

const SHORTCUTS: [string, string][] = [
  ["?", "this list"],
  ["/", "to the search field of the page"],
  ["Ctrl K", "search everything"],
  ["g then o, d, k, n, s, v, e", "overview, Docker, keys, nodes, sessions, services, events"],
  ["j, k or arrows", "next and previous row"],
  ["Enter", "open the row"],
  ["u", "up one folder"],
  ["c", "create a key in this folder"],
  ["e", "edit this key"],
  ["y", "copy the path of this key or folder"],
  ["Ctrl S", "save, and stay in the editor"],
  ["Ctrl Shift S", "save and close the editor"],
];

function Help(): JSX.Element {
  return (
    <Dialog title="Keyboard shortcuts" onClose={() => { helpOpen.value = false; }}>
      <dl class="shortcuts">
        {SHORTCUTS.map(([keys, what]) => <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div>)}
      </dl>
      <p class="hint">None of them works while you type in a field, except those with Ctrl. They can be turned off in the <a href={href(paths.settings())} onClick={() => { helpOpen.value = false; }}>settings</a>.</p>
    </Dialog>
  );
}

