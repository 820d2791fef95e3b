// Data that follows the cluster: blocking reads where the agent has them, repeated reads where not.
//
// Watches are shared by path and stop when nobody looks, when the tab is hidden, or when the person paused the page.
// What was read stays, so that a page that comes back shows it at once, also while the agent is gone.
import { type Signal, batch, effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Answer, HttpError, call, unreachableSince } from "./api";
import { liveDefault, token } from "./settings";

const WAIT = "55s";
const PACE_MIN_MS = 250;
const PACE_MAX_MS = 2000;
const PAUSE_MIN_MS = 20;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 10_000;
const KEPT_MAX = 40;

export interface LiveOptions {
  /** Repeat every so many ms, instead of blocking. */
  every?: number;
  query?: Record<string, string | number | undefined>;
  accept?: number[];
}

export interface Live<T> {
  data: Signal<T | undefined>;
  error: Signal<Error | null>;
  status: Signal<number>;
  /** When the newest answer came, ms. */
  at: Signal<number>;
  knownLeader: Signal<boolean>;
  lastContact: Signal<number>;
  refresh: () => void;
}

export const paused = signal(liveDefault.value === "off");
export const pausedSince = signal(paused.value ? Date.now() : 0);
export const visible = signal(document.visibilityState !== "hidden");
document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState !== "hidden";
});

export function setPaused(value: boolean): void {
  paused.value = value;
  pausedSince.value = value ? Date.now() : 0;
}

class Watch<T> implements Live<T> {
  data = signal<T | undefined>(undefined);
  error = signal<Error | null>(null);
  status = signal(0);
  at = signal(0);
  knownLeader = signal(true);
  lastContact = signal(0);
  users = 0;
  private index = 0;
  private abort: AbortController | null = null;
  private wake: (() => void) | null = null;
  private stopping: () => void = () => undefined;

  constructor(readonly path: string, private readonly options: LiveOptions) {}

  enter(): void {
    if (this.users++ > 0) return;
    this.stopping = effect(() => {
      const run = visible.value && (!paused.value || this.at.peek() === 0);
      void token.value;
      this.halt();
      this.index = 0;
      if (run) void this.run();
    });
  }

  leave(): void {
    if (--this.users > 0) return;
    this.stopping();
    this.halt();
  }

  refresh = (): void => {
    if (this.options.every !== undefined && this.wake) this.wake();
    else if (this.users > 0 && visible.peek()) {
      this.halt();
      this.index = 0;
      void this.run();
    }
  };

  private halt(): void {
    this.abort?.abort();
    this.abort = null;
    this.wake?.();
  }

  private async run(): Promise<void> {
    const abort = (this.abort = new AbortController());
    let failures = 0;
    let pace = PACE_MIN_MS;
    while (!abort.signal.aborted) {
      const began = performance.now();
      try {
        const blocking = this.options.every === undefined && this.index > 0;
        const answer = await call<T>("GET", this.path, {
          query: { stale: "", ...this.options.query, ...(blocking ? { index: this.index, wait: WAIT } : {}) },
          signal: abort.signal,
          accept: [404, ...(this.options.accept ?? [])],
        });
        if (abort.signal.aborted) return;
        failures = 0;
        const changed = this.take(answer, blocking);
        if (paused.peek()) return;
        const took = performance.now() - began;
        if (this.options.every !== undefined) await this.pause(this.options.every, abort.signal);
        else {
          // What changes all the time is read less often; a change after a quiet time is shown at once.
          pace = changed && took < 2 * PACE_MAX_MS ? Math.min(pace * 1.5, PACE_MAX_MS) : PACE_MIN_MS;
          await this.pause(blocking ? Math.max(pace - took, PAUSE_MIN_MS) : PAUSE_MIN_MS, abort.signal);
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        failures++;
        this.error.value = error as Error;
        if (error instanceof HttpError) this.status.value = error.status;
        await this.pause(Math.min(RETRY_MIN_MS * 2 ** (failures - 1), RETRY_MAX_MS), abort.signal);
      }
    }
  }

  private take(answer: Answer<T>, blocking: boolean): boolean {
    const changed = answer.index !== this.index;
    const back = answer.index < this.index;
    batch(() => {
      if (changed || !blocking || answer.status !== this.status.peek()) {
        this.data.value = answer.status === 404 ? undefined : answer.data;
      }
      this.error.value = null;
      this.status.value = answer.status;
      this.at.value = Date.now();
      this.knownLeader.value = answer.knownLeader;
      this.lastContact.value = answer.lastContact;
    });
    this.index = back ? 0 : Math.max(1, answer.index);
    return changed;
  }

  private pause(ms: number, aborted: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop();
        aborted.removeEventListener("abort", done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.wake = done;
      aborted.addEventListener("abort", done);
      let before = unreachableSince.peek();
      // The agent answers again: no reason to wait longer.
      const stop = effect(() => {
        const since = unreachableSince.value;
        if (since === null && before !== null) queueMicrotask(done);
        before = since;
      });
    });
  }
}

const watches = new Map<string, Watch<unknown>>();

function watchOf<T>(path: string, options: LiveOptions): Watch<T> {
  const name = `${path} ${JSON.stringify(options)}`;
  let watch = watches.get(name) as Watch<T> | undefined;
  if (watch) watches.delete(name); // and set again, as the newest
  else watch = new Watch<T>(path, options);
  watches.set(name, watch as Watch<unknown>);
  if (watches.size > KEPT_MAX) {
    for (const [old, other] of watches) {
      if (other.users === 0 && watches.size > KEPT_MAX) watches.delete(old);
    }
  }
  return watch;
}

const nothing: Live<never> = {
  data: signal(undefined),
  error: signal(null),
  status: signal(0),
  at: signal(0),
  knownLeader: signal(true),
  lastContact: signal(0),
  refresh: () => undefined,
};

/** Follows a path below /v1/ for as long as the component is shown; null: nothing to follow. */
export function useLive<T>(path: string | null, options: LiveOptions = {}): Live<T> {
  const watch = path === null ? null : watchOf<T>(path, options);
  useEffect(() => {
    watch?.enter();
    return () => watch?.leave();
  }, [watch]);
  return watch ?? (nothing as Live<T>);
}
