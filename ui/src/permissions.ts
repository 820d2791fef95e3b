// Whether this person may write where the page is: asked of the agent, as Consul's own page asks. Where writing is
// refused, nothing offers it. Agents without access control say so once, and are not asked again.
import { computed, effect, signal } from "@preact/signals";
import { HttpError, call } from "./api";
import type { Route } from "./paths";
import { location_ } from "./router";
import { token } from "./settings";

interface Wanted {
  Resource: string;
  Access: "write";
  Segment?: string;
}

/** "off": there is no access control; "closed": this agent takes no writes from here; "unknown": not told yet. */
export const access = signal<"unknown" | "off" | "on" | "closed">("unknown");
const answers = signal<ReadonlyMap<string, boolean>>(new Map());

function wantedOf(route: Route): Wanted | null {
  switch (route.page) {
    case "folder":
    case "create": return { Resource: "key", Access: "write", Segment: route.prefix };
    case "key":
    case "guess": return { Resource: "key", Access: "write", Segment: route.key };
    case "docker": return { Resource: "key", Access: "write", Segment: "docker/" };
    case "node":
    case "sessions": return { Resource: "session", Access: "write" };
    case "events": return { Resource: "event", Access: "write" };
    default: return null; // nothing is written there
  }
}

const nameOf = ({ Resource, Segment }: Wanted) => `${Resource} ${Segment ?? ""}`;

export const writesRefused = computed(
  () => {
    const wanted = wantedOf(location_.value.route);
    return access.value === "closed" || (access.value === "on" && wanted !== null && answers.value.get(nameOf(wanted)) === false);
  },
);

/** Why nothing can be written here; "" when something can. */
export const refusal = computed(() => {
  if (!writesRefused.value) return "";
  return access.value === "closed"
    ? "This agent takes no changes from this address"
    : `${token.value ? "The token that this page uses" : "Without a token this page"} may not write here`;
});

async function ask(wanted: Wanted, current: string): Promise<void> {
  try {
    const { data, status } = await call<{ Allow: boolean }[] | null>("POST", "internal/acl/authorize", {
      body: JSON.stringify([wanted]),
      accept: [401, 403, 404, 405, 501],
    });
    if (token.peek() !== current) return;
    if (status === 200 && Array.isArray(data)) {
      access.value = "on";
      answers.value = new Map(answers.peek()).set(nameOf(wanted), data[0]?.Allow !== false);
    } else if (status !== 403) access.value = "off";
    else if (current === "") access.value = "closed";
    else {
      // An agent that does not know the token allows nothing to it.
      access.value = "on";
      answers.value = new Map(answers.peek()).set(nameOf(wanted), false);
    }
  } catch (error) {
    // Not reachable, or an error of the agent's: the page says so elsewhere, and refusals still come with each write.
    if (error instanceof HttpError) access.value = "off";
  }
}

/** Asks for every place that is shown, as long as there is access control. */
export function startPermissions(): void {
  let asked = "";
  effect(() => {
    const current = token.value;
    const { route } = location_.value;
    if (asked !== current) {
      access.value = "unknown";
      answers.value = new Map();
    }
    asked = current;
    const wanted = wantedOf(route) ?? { Resource: "key", Access: "write" as const, Segment: "" };
    if (access.value === "off" || access.value === "closed" || answers.peek().has(nameOf(wanted))) return;
    void ask(wanted, current);
  });
}
