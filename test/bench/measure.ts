/** Interleaved measuring, medians, and the table that shows them. */

export interface Subject<S> {
  readonly label: string;
  readonly subject: S;
}

export interface Row {
  readonly name: string;
  readonly unit: string;
  /** A value for each label; the smaller is the better. */
  readonly values: ReadonlyMap<string, number>;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

/** Milliseconds that `work` takes. */
export async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * Medians of `rounds` measurements of each subject, taken in turns, so that whatever else the machine does falls on
 * all alike. `measure` gives a number of the row's unit.
 */
export async function compare<S>(
  row: { name: string; unit: string; rounds: number },
  subjects: readonly Subject<S>[],
  measure: (subject: S, round: number) => Promise<number>,
): Promise<Row> {
  const taken = new Map<string, number[]>(subjects.map(({ label }) => [label, []]));
  for (let round = 0; round < row.rounds; round++) {
    const order = round % 2 === 0 ? subjects : [...subjects].reverse();
    for (const { label, subject } of order) taken.get(label)?.push(await measure(subject, round));
  }
  const values = new Map([...taken].map(([label, numbers]) => [label, median(numbers)]));
  return { name: row.name, unit: row.unit, values };
}

/** Prints each row with its values, and each value divided by those of the peers (`o2serve`, `overlay2`). */
export function printTable(title: string, rows: readonly Row[]): void {
  const labels = [...new Set(rows.flatMap((row) => [...row.values.keys()]))];
  const peers = labels.filter((label) => !label.startsWith('thinlayer'));
  const ours = labels.filter((label) => label.startsWith('thinlayer'));
  const ratios = ours.flatMap((own) => peers.map((peer) => ({ own, peer, head: `${own} / ${peer}` })));
  const header = ['', ...labels, ...ratios.map((r) => r.head)];
  const lines = rows.map((row) => {
    const value = (label: string) => row.values.get(label) ?? NaN;
    const numbers = labels.map((label) =>
      row.values.has(label) ? `${format(value(label))} ${row.unit}` : '-',
    );
    const quotients = ratios.map(({ own, peer }) => format(value(own) / value(peer)));
    return [row.name, ...numbers, ...quotients];
  });
  console.log(`\n${title}`);
  for (const line of align([header, ...lines])) console.log(line);
}

function format(value: number): string {
  if (Number.isNaN(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function align(table: readonly string[][]): string[] {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((line) => line[column]?.length ?? 0)),
  );
  return table.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
}
