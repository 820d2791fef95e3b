// Sessions with what they hold and the time they have left, where the agent tells it (Consul itself does not).
import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Live, useLive } from "./live";
import { formatSpan, parseDuration } from "./format";
import { now } from "./cluster";

export interface Session {
  ID: string;
  Name: string;
  Node: string;
  LockDelay: number;
  Behavior: string;
  TTL: string;
  NodeChecks: string[] | null;
  ServiceChecks: { ID: string }[] | null;
  CreateIndex: number;
  ModifyIndex: number;
  /** Of pyconsul only: the keys it holds. */
  HeldKeys?: string[];
  /** Of pyconsul only: ms until it ends unless it is renewed; null without TTL. */
  ExpiresInMs?: number | null;
}

const OWN = "internal/ui/sessions";
const POLL_MS = 2000;
const path = signal(OWN);

export function useSessions(): Live<Session[]> {
  const live = useLive<Session[]>(path.value, { every: POLL_MS });
  const missing = path.value === OWN && live.status.value === 404;
  useEffect(() => {
    if (missing) path.value = "session/list";
  }, [missing]);
  return live;
}

export const sessionName = (session: Session): string => session.Name || session.ID;

export interface TimeLeft {
  text: string;
  /** It should have been renewed by now. */
  late: boolean;
  known: boolean;
}

/** A session lives for twice its TTL after a renewal; whoever renews in time keeps more than one TTL. */
export function timeLeft(session: Session, readAt: number): TimeLeft {
  const ttl = parseDuration(session.TTL);
  if (ttl === 0) return { text: "no TTL", late: false, known: true };
  if (session.ExpiresInMs === undefined || session.ExpiresInMs === null)
    return { text: `TTL ${session.TTL}`, late: false, known: false };
  const left = Math.max(0, session.ExpiresInMs - Math.max(0, now.value - readAt));
  return { text: left < 1000 ? "ending" : `${formatSpan(left)} left`, late: left < ttl * 0.9, known: true };
}

export const tells = computed(() => path.value === OWN);
