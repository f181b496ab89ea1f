/** Series of any times become one table with a shared time column, as uPlot wants it; stacks are summed up here. */
import type { ChartSeries } from './series';

export interface Aligned {
  times: number[];
  /** What is drawn: stacked where the series says so. */
  drawn: (number | null)[][];
  /** What it is: for tooltips. */
  actual: (number | null)[][];
}

export function align(series: readonly ChartSeries[]): Aligned {
  const first = series[0];
  if (!first) return { times: [], drawn: [], actual: [] };
  const actual = sameTimes(series) ? series.map(({ values }) => values as (number | null)[]) : undefined;
  const times = actual ? (first.times as number[]) : unionOfTimes(series);
  const table = actual ?? placed(series, times);
  return { times, actual: table, drawn: drawnTable(series, table) };
}

/** True for the usual answer of a GROUP BY time: then nothing has to be copied. */
function sameTimes(series: readonly ChartSeries[]): boolean {
  const times = series[0]!.times;
  return series.every((other) => other.times === times || equal(other.times, times));
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function unionOfTimes(series: readonly ChartSeries[]): number[] {
  const seen = new Set<number>();
  for (const { times } of series) for (const time of times) seen.add(time);
  return [...seen].sort((a, b) => a - b);
}

function placed(series: readonly ChartSeries[], times: readonly number[]): (number | null)[][] {
  const slot = new Map(times.map((time, i) => [time, i]));
  return series.map((one) => {
    const column: (number | null)[] = new Array(times.length).fill(null);
    for (let i = 0; i < one.times.length; i++) column[slot.get(one.times[i]!)!] = one.values[i] ?? null;
    return column;
  });
}

/** Values as drawn: turned upside down where asked for, then piled up. */
function drawnTable(series: readonly ChartSeries[], table: (number | null)[][]): (number | null)[][] {
  const turned = series.some(({ negative }) => negative)
    ? table.map((column, i) => (series[i]!.negative ? column.map((value) => (value === null ? null : -value)) : column))
    : table;
  return stacked(series, turned);
}

/** Sums within each stack from the first series up. Below zero is a pile of its own, growing downwards. */
function stacked(series: readonly ChartSeries[], table: (number | null)[][]): (number | null)[][] {
  if (!series.some(({ stack }) => stack !== undefined)) return table;
  const totals = percentTotals(series, table);
  const piles = new Map<string, number[]>();
  return table.map((column, index) => {
    const { stack, percent } = series[index]!;
    if (stack === undefined) return column;
    const pile = piles.get(stack) ?? new Array<number>(column.length).fill(0);
    piles.set(stack, pile);
    return column.map((value, i) => {
      if (value === null) return null;
      const share = percent ? (value / (totals.get(stack)![i] || 1)) * 100 : value;
      return (pile[i] = pile[i]! + share);
    });
  });
}

function percentTotals(series: readonly ChartSeries[], table: (number | null)[][]): Map<string, number[]> {
  const totals = new Map<string, number[]>();
  series.forEach(({ stack, percent }, index) => {
    if (stack === undefined || !percent) return;
    const total = totals.get(stack) ?? new Array<number>(table[index]!.length).fill(0);
    totals.set(stack, total);
    table[index]!.forEach((value, i) => (total[i] = total[i]! + (value ?? 0)));
  });
  return totals;
}
