/** A series as the chart draws it: values, how they look, how they are written. No dashboards or queries here. */
import type { Cell } from '../data/frame';

export type DrawStyle = 'line' | 'bars' | 'points';
export type Interpolation = 'linear' | 'smooth' | 'stepBefore' | 'stepAfter';

export interface ChartSeries {
  /** Unique in the chart and stable over refreshes: what a hidden series is remembered by. */
  key: string;
  name: string;
  color: string;
  /** Milliseconds, ascending. */
  times: readonly number[];
  values: readonly (number | null)[];
  /** Drawn downwards from zero, such as what is sent below what is received. */
  negative: boolean;
  drawStyle: DrawStyle;
  interpolation: Interpolation;
  lineWidth: number;
  /** 0 to 1. */
  fillOpacity: number;
  dash?: number[] | undefined;
  /** True draws through every hole, a number through holes up to so many ms; absent: as wide as the data suggests. */
  spanNulls?: boolean | number | undefined;
  showPoints: 'auto' | 'always' | 'never';
  /** Series of the same group are stacked on each other. */
  stack?: string | undefined;
  percent?: boolean;
  axis: 'left' | 'right';
  /** For the axis; values with their own unit get `format`. */
  unit?: string | undefined;
  decimals?: number | undefined;
  min?: number | undefined;
  max?: number | undefined;
  softMin?: number | undefined;
  softMax?: number | undefined;
  /** Base of a logarithmic axis. */
  log?: 2 | 10 | undefined;
  format(value: number): string;
}

/** What has no place on an axis (NaN, infinities) is a hole. */
export function toNumbers(values: readonly Cell[]): (number | null)[] {
  return values.map((value) => (typeof value === 'number' ? (Number.isFinite(value) ? value : null) : typeof value === 'boolean' ? Number(value) : null));
}

/** A logarithmic axis has no place for zero and less. */
export function positive(values: readonly (number | null)[]): (number | null)[] {
  return values.map((value) => (value !== null && value > 0 ? value : null));
}

/** The same points in the order of their times: answers in Flux may have any. Those in order already are not copied. */
export function ascending<T>(times: readonly number[], values: readonly T[]): [readonly number[], readonly T[]] {
  if (times.every((time, i) => i === 0 || time >= times[i - 1]!)) return [times, values];
  const order = times.map((_, i) => i).sort((a, b) => times[a]! - times[b]!);
  return [order.map((i) => times[i]!), order.map((i) => values[i]!)];
}
