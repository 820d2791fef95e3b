// The list of every page: sortable, as cards on narrow screens, and drawn only where it is looked at once it is long.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { location_, setQuery } from "./router";

export interface Column<Row> {
  id: string;
  title: string;
  render: (row: Row) => ComponentChildren;
  sort?: (a: Row, b: Row) => number;
  /** A track of a CSS grid; "minmax(0, 1fr)" when missing. */
  width?: string;
  numeric?: boolean;
  /** Not shown on narrow screens. */
  wideOnly?: boolean;
  /** The heading of the card on narrow screens. */
  main?: boolean;
}

const VIRTUAL_FROM = 150;
const OVERSCAN = 12;
const NARROW = window.matchMedia("(max-width: 720px)");

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface TableProps<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  /** "column:asc" when the address says nothing. "" keeps the order of `rows`. */
  defaultSort?: string;
  /** Several tables on a page must not share the parameter. */
  sortParameter?: string;
  onVisible?: (rows: Row[]) => void;
  /** On narrow screens a line per row instead of a card. */
  compact?: boolean;
  /** Keys of rows that light up once, because they are new or different. */
  changed?: ReadonlySet<string>;
}

export function DataTable<Row>(props: TableProps<Row>): JSX.Element {
  const { label, columns, rows, rowKey, defaultSort = "", sortParameter = "sort" } = props;
  const [sortId, direction] = (location_.value.query.get(sortParameter) || defaultSort).split(":");
  const sorted = useMemo(() => {
    const column = columns.find(({ id, sort }) => sort && id.toLowerCase() === sortId.toLowerCase());
    if (!column?.sort) return rows;
    const sign = direction === "desc" ? -1 : 1;
    const compare = column.sort;
    return [...rows].sort((a, b) => sign * compare(a, b));
  }, [rows, sortId, direction, columns.length]);
  const body = useRef<HTMLDivElement>(null);
  const narrow = useNarrow();
  const virtual = sorted.length > VIRTUAL_FROM;
  const rowHeight = narrow ? 48 : 40;
  const [first, last] = useRange(body, virtual ? sorted.length : 0, rowHeight);
  const from = virtual ? first : 0;
  const shown = virtual ? sorted.slice(first, last) : sorted;
  const shownKey = shown.length > 0 ? `${rowKey(shown[0])} ${rowKey(shown[shown.length - 1])}` : "";
  useEffect(() => {
    if (!props.onVisible) return;
    const timer = setTimeout(() => props.onVisible?.(shown.slice(0, 200)), virtual ? 120 : 0);
    return () => clearTimeout(timer);
  }, [shownKey, sorted]);
  const template = columns.map(({ width }) => width ?? "minmax(0, 1fr)").join(" ");

  return (
    <div class={`table ${virtual ? "virtual" : ""} ${props.compact || virtual ? "compact" : "as-cards"}`} role="table" aria-label={label} aria-rowcount={sorted.length + 1} aria-colcount={columns.length}>
      <div role="rowgroup" class="table-head">
        <div role="row" class="table-row" style={{ gridTemplateColumns: template }} aria-rowindex={1}>
          {columns.map((column) => {
            const own = column.id.toLowerCase() === sortId.toLowerCase();
            return (
              <div key={column.id} role="columnheader" class={cellClass(column)} aria-sort={column.sort ? (own ? (direction === "desc" ? "descending" : "ascending") : "none") : undefined}>
                {column.sort ? (
                  <button type="button" class="sort" onClick={() => setQuery(sortParameter, `${column.id}:${own && direction !== "desc" ? "desc" : "asc"}`)}>
                    {column.title}
                    <span aria-hidden="true">{own ? (direction === "desc" ? " ↓" : " ↑") : ""}</span>
                  </button>
                ) : (
                  <span class={column.title ? "" : "sr-only"}>{column.title || "Actions"}</span>
                )}
              </div>
            );
          })}
        </div>
      </div>
      <div role="rowgroup" class="table-body" ref={body} style={virtual ? { height: `${sorted.length * rowHeight}px` } : {}}>
        {shown.map((row, at) => (
          <div
            key={rowKey(row)}
            role="row"
            class={`table-row ${props.changed?.has(rowKey(row)) ? "changed" : ""}`}
            aria-rowindex={from + at + 2}
            style={{ gridTemplateColumns: template, ...(virtual ? { top: `${(from + at) * rowHeight}px`, height: `${rowHeight}px` } : {}) }}
          >
            {columns.map((column) => (
              <div key={column.id} role="cell" class={cellClass(column)} data-label={column.title}>
                {column.render(row)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function cellClass<Row>({ numeric, wideOnly, main, title }: Column<Row>): string {
  return `cell ${numeric ? "numeric" : ""} ${wideOnly ? "wide-only" : ""} ${main ? "main" : ""} ${title ? "" : "bare"}`;
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const update = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", update);
    return () => NARROW.removeEventListener("change", update);
  }, []);
  return narrow;
}

/** Which rows of a long list are near the window; follows scrolling of the page. */
function useRange(body: { current: HTMLElement | null }, count: number, rowHeight: number): [number, number] {
  const [range, setRange] = useState<[number, number]>([0, 60]);
  useLayoutEffect(() => {
    if (count === 0) return;
    const update = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / rowHeight) - OVERSCAN);
      const last = Math.min(count, Math.ceil((window.innerHeight - top) / rowHeight) + OVERSCAN);
      setRange((old) => (old[0] === first && old[1] === last ? old : [first, Math.max(first, last)]));
    };
    update();
    window.addEventListener("scroll", update, { passive: true });
    window.addEventListener("resize", update);
    return () => {
      window.removeEventListener("scroll", update);
      window.removeEventListener("resize", update);
    };
  }, [count, rowHeight]);
  return range;
}
