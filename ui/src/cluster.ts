// What every page needs to know about the cluster: who leads, which datacenters there are, how old the data is.
import { computed, effect, signal } from "@preact/signals";
import { call, unreachableSince } from "./api";
import { visible } from "./live";

const PACE_MS = 3000;
const PACE_TROUBLE_MS = 1000;
const RETRY_MAX_MS = 10_000;
/** A change of leaders takes a moment; only a longer absence is worth a banner. */
const LEADERLESS_MS = 2000;

/** RPC address of the leader, "" when there is none, null before the first answer. */
export const leader = signal<string | null>(null);
export const leaderlessSince = signal<number | null>(null);
export const datacenters = signal<string[]>([]);
export const retryAt = signal(0);
export const now = signal(Date.now());

export const noLeader = computed(
  () => leaderlessSince.value !== null && now.value - leaderlessSince.value >= LEADERLESS_MS,
);

/** Why writing is impossible at the moment; "" when it is possible. */
export const readOnlyReason = computed(() => {
  if (unreachableSince.value !== null) return "The agent cannot be reached";
  return noLeader.value ? "The cluster has no leader, so nothing can be written" : "";
});

let retry: () => void = () => undefined;
export const retryNow = () => retry();

export function startMonitor(): void {
  let failures = 0;
  let timer = 0;
  let running = false;
  const look = async () => {
    if (running) return;
    running = true;
    clearTimeout(timer);
    try {
      leader.value = (await call<string>("GET", "status/leader")).data;
      leaderlessSince.value = leader.value ? null : (leaderlessSince.value ?? Date.now());
      if (datacenters.value.length === 0)
        datacenters.value = (await call<string[]>("GET", "catalog/datacenters")).data;
      failures = 0;
    } catch {
      failures++; // shown through unreachableSince
    }
    running = false;
    const pace = failures
      ? Math.min(PACE_TROUBLE_MS * 2 ** (failures - 1), RETRY_MAX_MS)
      : leaderlessSince.value !== null
        ? PACE_TROUBLE_MS
        : PACE_MS;
    retryAt.value = Date.now() + pace;
    if (visible.value) timer = window.setTimeout(look, pace);
  };
  retry = () => void look();
  effect(() => {
    if (visible.value) void look();
    else clearTimeout(timer);
  });
  window.addEventListener("online", retry);
  setInterval(() => {
    if (visible.value) now.value = Date.now();
  }, 1000);
}
