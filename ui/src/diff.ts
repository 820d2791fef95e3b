// Which lines two texts share: a longest common subsequence, bounded so that long texts stay fast.

export interface DiffLine {
  kind: "same" | "gone" | "new";
  text: string;
  /** Line numbers, from 1; 0 where the side has no such line. */
  left: number;
  right: number;
}

const CELLS_MAX = 4_000_000;

export function diffLines(left: string, right: string): DiffLine[] {
  const a = left.split("\n");
  const b = right.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middleA = a.slice(start, a.length - end);
  const middleB = b.slice(start, b.length - end);
  const lines: DiffLine[] = a.slice(0, start).map((text, at) => ({ kind: "same", text, left: at + 1, right: at + 1 }));
  let i = 0;
  let j = 0;
  const gone = () => lines.push({ kind: "gone", text: middleA[i], left: start + ++i, right: 0 });
  const fresh = () => lines.push({ kind: "new", text: middleB[j], left: 0, right: start + ++j });
  if (middleA.length * middleB.length <= CELLS_MAX) {
    const width = middleB.length + 1;
    const table = new Uint16Array((middleA.length + 1) * width);
    for (let x = middleA.length - 1; x >= 0; x--) {
      for (let y = middleB.length - 1; y >= 0; y--) {
        table[x * width + y] =
          middleA[x] === middleB[y]
            ? table[(x + 1) * width + y + 1] + 1
            : Math.max(table[(x + 1) * width + y], table[x * width + y + 1]);
      }
    }
    while (i < middleA.length && j < middleB.length) {
      if (middleA[i] === middleB[j]) {
        lines.push({ kind: "same", text: middleA[i], left: start + ++i, right: start + ++j });
      } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) gone();
      else fresh();
    }
  }
  while (i < middleA.length) gone();
  while (j < middleB.length) fresh();
  for (let at = end; at > 0; at--) {
    lines.push({ kind: "same", text: a[a.length - at], left: a.length - at + 1, right: b.length - at + 1 });
  }
  return lines;
}
