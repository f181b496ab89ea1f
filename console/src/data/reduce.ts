/** Reducers: one number (or text) out of a column. Ids and meaning as Grafana's. */
import type { Cell } from './frame';

type Reducer = (values: readonly Cell[]) => Cell;

function numbers(values: readonly Cell[]): number[] {
  return values.filter((value): value is number => typeof value === 'number' && !Number.isNaN(value));
}

function extreme(values: readonly Cell[], better: (a: number, b: number) => boolean): number | null {
  let best: number | null = null;
  for (const value of values) {
    if (typeof value === 'number' && (best === null || better(value, best))) best = value;
  }
  return best;
}

function sum(values: readonly Cell[]): number | null {
  const present = numbers(values);
  return present.length > 0 ? present.reduce((total, value) => total + value, 0) : null;
}

function mean(values: readonly Cell[]): number | null {
  const present = numbers(values);
  return present.length > 0 ? present.reduce((total, value) => total + value, 0) / present.length : null;
}

/** The p-th percentile by nearest rank. */
function percentile(values: readonly Cell[], p: number): number | null {
  const sorted = numbers(values).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const rank = Math.ceil((p / 100) * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

function median(values: readonly Cell[]): number | null {
  const sorted = numbers(values).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function difference(values: readonly Cell[]): number | null {
  const present = numbers(values);
  return present.length > 0 ? present[present.length - 1]! - present[0]! : null;
}

const present = (value: Cell) => value !== null;

/** Growth of a counter: a value below the one before is a restart, after which the counter began at zero. */
function delta(values: readonly Cell[]): number | null {
  let total = 0;
  let before: number | undefined;
  for (const value of numbers(values)) {
    if (before !== undefined) total += value < before ? value : value - before;
    before = value;
  }
  return before === undefined ? null : total;
}

/** The smallest step from a value to the next. */
function step(values: readonly Cell[]): number | null {
  const found = numbers(values);
  return found.length < 2 ? null : found.slice(1).reduce((least, value, i) => Math.min(least, value - found[i]!), Infinity);
}

/** Of the values as a whole, not of a sample. */
function variance(values: readonly Cell[]): number | null {
  const [found, middle] = [numbers(values), mean(values)];
  return middle === null ? null : found.reduce((sum, value) => sum + (value - middle) ** 2, 0) / found.length;
}

function stdDev(values: readonly Cell[]): number | null {
  const squared = variance(values);
  return squared === null ? null : Math.sqrt(squared);
}

function differencePart(values: readonly Cell[]): number | null {
  const [grown, first] = [difference(values), numbers(values)[0]];
  return grown === null || !first ? null : grown / first;
}

const REDUCERS: Record<string, { label: string; reduce: Reducer }> = {
  lastNotNull: { label: 'Last', reduce: (values) => values.findLast(present) ?? null },
  last: { label: 'Last', reduce: (values) => values[values.length - 1] ?? null },
  firstNotNull: { label: 'First', reduce: (values) => values.find(present) ?? null },
  first: { label: 'First', reduce: (values) => values[0] ?? null },
  min: { label: 'Min', reduce: (values) => extreme(values, (a, b) => a < b) },
  max: { label: 'Max', reduce: (values) => extreme(values, (a, b) => a > b) },
  mean: { label: 'Mean', reduce: mean },
  median: { label: 'Median', reduce: median },
  sum: { label: 'Total', reduce: sum },
  count: { label: 'Count', reduce: (values) => values.filter(present).length },
  countAll: { label: 'Count all', reduce: (values) => values.length },
  diff: { label: 'Difference', reduce: difference },
  diffperc: { label: 'Difference percent', reduce: differencePart },
  delta: { label: 'Delta', reduce: delta },
  step: { label: 'Step', reduce: step },
  logmin: { label: 'Min (above zero)', reduce: (values) => extreme(values.filter((value) => typeof value === 'number' && value > 0), (a, b) => a < b) },
  variance: { label: 'Variance', reduce: variance },
  stdDev: { label: 'StdDev', reduce: stdDev },
  changeCount: { label: 'Change count', reduce: (values) => values.filter((value, i) => i > 0 && value !== values[i - 1]).length },
  allIsZero: { label: 'All zeros', reduce: (values) => values.some(present) && values.every((value) => value === null || value === 0) },
  allIsNull: { label: 'All nulls', reduce: (values) => !values.some(present) },
  range: {
    label: 'Range',
    reduce: (values) => {
      const [low, high] = [extreme(values, (a, b) => a < b), extreme(values, (a, b) => a > b)];
      return low === null || high === null ? null : high - low;
    },
  },
  distinctCount: { label: 'Distinct', reduce: (values) => new Set(values).size },
};

const PERCENTILE = /^p(\d{1,2})$/;

/** An unknown id reduces to nothing rather than to a wrong number. */
export function reduce(values: readonly Cell[], id: string): Cell {
  const known = REDUCERS[id];
  if (known) return known.reduce(values);
  const rank = PERCENTILE.exec(id);
  return rank ? percentile(values, Number(rank[1])) : null;
}

export function reducerLabel(id: string): string {
  return REDUCERS[id]?.label ?? id;
}
