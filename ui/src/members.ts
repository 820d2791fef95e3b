// Members, Raft servers and this agent, as the agent tells them.
import { leader } from "./cluster";
import { type Live, useLive } from "./live";

export interface Member {
  Name: string;
  Addr: string;
  Port: number;
  Tags: Record<string, string>;
  Status: number;
}

export interface RaftServer {
  ID: string;
  Node: string;
  Address: string;
  Leader: boolean;
  Voter: boolean;
  LastIndex: number;
}

export interface AgentSelf {
  Config: { Datacenter: string; NodeName: string; NodeID: string; Version: string };
  Member: Member;
  Stats: Record<string, Record<string, string>>;
  Meta: Record<string, string>;
}

const POLL_MS = 3000;
const WORDS = ["none", "alive", "leaving", "left", "failed"];

export const statusWord = (member: Member): string => WORDS[member.Status] ?? "unknown";

export function useMembers(): Live<Member[]> {
  return useLive<Member[]>("agent/members", { every: POLL_MS });
}

export function useRaft(): Live<{ Servers: RaftServer[]; Index: number }> {
  // With a leader the answer is the leader's, who knows how far the others are.
  const query = leader.value ? { stale: undefined } : { stale: "" };
  return useLive("operator/raft/configuration", { every: POLL_MS, query });
}

export function useSelf(): Live<AgentSelf> {
  return useLive<AgentSelf>("agent/self", { every: POLL_MS });
}

export const isServer = (member: Member): boolean => member.Tags.role === "consul";

export interface ServerHealth {
  ID: string;
  Name: string;
  LastContact: string;
  LastTerm: number;
  Leader: boolean;
  Healthy: boolean;
}

const HEALTH_POLL_MS = 5000;

/** What autopilot thinks of the servers: an answer of 429 says that not all is well, with the same body. */
export function useHealth(): Live<{ Healthy: boolean; FailureTolerance: number; Servers: ServerHealth[] | null }> {
  return useLive(leader.value ? "operator/autopilot/health" : null, { every: HEALTH_POLL_MS, accept: [429], query: { stale: undefined } });
}

/** "1.16.1 (pyconsul)" of the tag `build`. */
export function versionOf(member: Member): string {
  const [version, revision] = (member.Tags.build ?? "").split(":");
  return revision ? `${version} (${revision})` : version;
}
