// The search text of lists: words that must all occur, "two words" as one, -word to exclude, field:value.

export interface Searchable {
  /** All text of a row. */
  text: string;
  fields?: Record<string, string[]>;
}

interface Term {
  not: boolean;
  field: string;
  text: string;
}

function terms(search: string, fields: string[]): Term[] {
  const found: Term[] = [];
  for (const [, minus, quoted, bare] of search.matchAll(/(-?)(?:"([^"]*)"|(\S+))/g)) {
    const whole = (quoted ?? bare).toLowerCase();
    const colon = quoted === undefined ? whole.indexOf(":") : -1;
    const field = colon > 0 ? whole.slice(0, colon) : "";
    if (field && (fields.includes(field) || field.startsWith("meta."))) {
      found.push({ not: minus === "-", field, text: whole.slice(colon + 1) });
    } else if (whole) found.push({ not: minus === "-", field: "", text: whole });
  }
  return found;
}

export function matcher(search: string, fields: string[] = []): (row: Searchable) => boolean {
  const wanted = terms(search, fields);
  if (wanted.length === 0) return () => true;
  return (row) =>
    wanted.every(({ not, field, text }) => {
      const hit = field
        ? (row.fields?.[field] ?? []).some((value) => value.toLowerCase().includes(text))
        : row.text.toLowerCase().includes(text);
      return hit !== not;
    });
}
