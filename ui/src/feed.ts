// What changed while this tab was open, newest first.
import { effect, signal } from "@preact/signals";
import { leader } from "./cluster";
import { unreachableSince } from "./api";
import type { Docker } from "./docker";
import type { Member } from "./members";
import { statusWord } from "./members";

export interface Change {
  id: number;
  at: number;
  text: string;
}

const KEPT = 200;
export const feed = signal<Change[]>([]);
let id = 0;

export function tell(text: string): void {
  feed.value = [{ id: ++id, at: Date.now(), text }, ...feed.value].slice(0, KEPT);
}

/** Compares named things with how they were the last time. */
function follow(what: (name: string) => [appeared: string, gone: string]): (names: string[]) => void {
  let before: Set<string> | null = null;
  return (names) => {
    const after = new Set(names);
    if (before) {
      for (const name of after) if (!before.has(name)) tell(what(name)[0]);
      for (const name of before) if (!after.has(name)) tell(what(name)[1]);
    }
    before = after;
  };
}

const engines = follow((name) => [`Engine ${name} registered`, `Engine ${name} is not registered any more`]);
const networks = follow((name) => [`Network ${name} was created`, `Network ${name} was removed`]);
const endpoints = follow((name) => [`Endpoint ${name} appeared`, `Endpoint ${name} is gone`]);
const members = follow((name) => [`Member ${name}`, ""]);

export function followDocker(docker: Docker): void {
  engines(docker.engines.map(({ address }) => address));
  networks(docker.networks.map(({ name }) => name));
  endpoints(docker.endpoints.map(({ name, network }) => `${name} in ${network}`));
}

export function followMembers(list: Member[]): void {
  const seen = feed.peek().length;
  members(list.map((member) => `${member.Name} is ${statusWord(member)}`));
  if (feed.peek().length !== seen) feed.value = feed.peek().filter(({ text }) => text !== "");
}

let last: string | null = null;
let lost = false;
effect(() => {
  const current = leader.value;
  if (current !== null && last !== null && current !== last) tell(current ? `${current} leads now` : "The leader is gone");
  if (current !== null) last = current;
});
effect(() => {
  const gone = unreachableSince.value !== null;
  if (gone !== lost) tell(gone ? "The agent cannot be reached" : "The agent answers again");
  lost = gone;
});
