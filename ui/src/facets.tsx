// The filters of lists under Consul's names, kept in the address: `status`, `kind`, `check`, `source` narrow a list,
// `searchproperty` says what the search looks at. Values of one filter are alternatives, filters add up.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons";
import { location_, setQueries, setQuery } from "./router";
import { Button, Empty } from "./ui";

export interface Facet {
  /** Of the address. */
  name: string;
  title: string;
  values: string[];
}

export const STATUSES = ["passing", "warning", "critical"];
const NARROWING = ["status", "kind", "check", "source"];

/** The values that the address asks for; null: all. */
export function chosenOf(name: string): string[] | null {
  const text = location_.value.query.get(name);
  return text ? text.split(",") : null;
}

/** Whether a row with these values passes the filter of that name. */
export function passes(name: string, ...values: string[]): boolean {
  const wanted = chosenOf(name);
  return !wanted || values.some((value) => wanted.includes(value));
}

/** The text that the search looks at: all properties, or those that the address names. */
export function searchText(properties: Record<string, string[]>): string {
  const wanted = chosenOf("searchproperty");
  return Object.entries(properties)
    .filter(([name]) => !wanted || wanted.includes(name))
    .flatMap(([, texts]) => texts)
    .join(" ");
}

function toggle(facet: Facet, value: string, all: boolean): void {
  const chosen = new Set(chosenOf(facet.name) ?? (all ? facet.values : []));
  if (!chosen.delete(value)) chosen.add(value);
  const none = chosen.size === 0 || (all && chosen.size === facet.values.length);
  setQuery(facet.name, none ? "" : facet.values.filter((each) => chosen.has(each)).join(","));
}

/** A button that opens a list of checkboxes. */
function Menu({ facet, all = false }: { facet: Facet; all?: boolean }): JSX.Element {
  const box = useRef<HTMLDetailsElement>(null);
  const chosen = chosenOf(facet.name);
  useEffect(() => {
    const close = (event: Event) => {
      if (box.current?.open && !box.current.contains(event.target as Node)) box.current.open = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, []);
  const escape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !box.current?.open) return;
    box.current.open = false;
    box.current.querySelector("summary")?.focus();
  };
  return (
    <details class="facet" ref={box} onKeyDown={escape}>
      <summary class="button">{facet.title}{chosen && ` (${chosen.length})`} <span aria-hidden="true">▾</span></summary>
      <fieldset class="facet-list">
        <legend class="sr-only">{facet.title}</legend>
        {facet.values.map((value) => (
          <label class="check" key={value}>
            <input type="checkbox" checked={chosen ? chosen.includes(value) : all} onChange={() => toggle(facet, value, all)} />
            {value}
          </label>
        ))}
      </fieldset>
    </details>
  );
}

/** The menus, and what is chosen as chips that can be removed. */
export function Facets({ facets, properties = [] }: { facets: Facet[]; properties?: string[] }): JSX.Element {
  const useful = facets.filter(({ name, values }) => values.length > 0 || chosenOf(name));
  const chips = useful.flatMap((facet) => (chosenOf(facet.name) ?? []).map((value) => ({ facet, value })));
  return (
    <>
      {useful.map((facet) => <Menu key={facet.name} facet={facet} />)}
      {properties.length > 1 && <Menu facet={{ name: "searchproperty", title: "Search in", values: properties }} all />}
      {chips.length > 0 && (
        <span class="marks chips" role="group" aria-label="Active filters">
          {chips.map(({ facet, value }) => (
            <button key={`${facet.name} ${value}`} type="button" class="badge tag chip" title={`Remove the filter ${facet.title}: ${value}`} onClick={() => removeChip(facet.name, value)}>
              {facet.title}: {value} <Icon name="bad" /><span class="sr-only">(remove)</span>
            </button>
          ))}
          {chips.length > 1 && <button type="button" class="badge tag chip" onClick={clearFacets}>Remove all</button>}
        </span>
      )}
    </>
  );
}

function removeChip(name: string, value: string): void {
  setQuery(name, (chosenOf(name) ?? []).filter((each) => each !== value).join(","));
}

function clearFacets(): void {
  setQueries(Object.fromEntries(NARROWING.map((name) => [name, ""])));
}

/** An empty list because of a filter: names it and offers to drop it. */
export function NothingFound({ what }: { what: string }): JSX.Element {
  const search = location_.value.query.get("filter") ?? "";
  const narrowed = NARROWING.filter((name) => chosenOf(name)).map((name) => `${name} ${chosenOf(name)?.join(" or ")}`);
  const only = search ? chosenOf("searchproperty") : null;
  const why = [search && `“${search}”${only ? ` in ${only.join(", ")}` : ""}`, ...narrowed].filter(Boolean);
  return (
    <Empty title={`No ${what} match ${why.join(" and ")}`}>
      <Button onClick={() => setQueries({ filter: "", searchproperty: "", ...Object.fromEntries(NARROWING.map((name) => [name, ""])) })}>Clear the filter</Button>
    </Empty>
  );
}
