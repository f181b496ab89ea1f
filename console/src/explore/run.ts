/** Runs what is in the editor: macros filled in, answers shaped for chart and table. */
import { influxQuery } from '../data/client';
import { type Frame, rowCount } from '../data/frame';
import { type InfluxResult, toFrames } from '../data/influx';
import { interpolate, type Scope } from '../dashboard/interpolate';
import { bucketMs } from '../time/interval';
import type { TimeRange } from '../time/range';

export interface StatementResult {
  /** For the chart: a frame for each series. */
  series: Frame[];
  /** For the table: series of a kind stacked. */
  tables: Frame[];
  rows: number;
  seriesCount: number;
  messages: string[];
}

export interface RunResult {
  /** The query as the server saw it. */
  sent: string;
  statements: StatementResult[];
  tookMs: number;
}

const POINTS = 700;

export function scopeOf(range: TimeRange): Scope {
  return { range, intervalMs: bucketMs(range.to - range.from, POINTS), variables: {} };
}

export function fill(q: string, range: TimeRange): string {
  return interpolate(q, scopeOf(range));
}

export async function run(q: string, db: string, range: TimeRange, signal?: AbortSignal): Promise<RunResult> {
  const sent = fill(q, range);
  const started = performance.now();
  const answer = await influxQuery({ q: sent, db }, signal);
  return { sent, statements: (answer.results ?? []).map(shape), tookMs: performance.now() - started };
}

export function shape(result: InfluxResult): StatementResult {
  const series = result.series ?? [];
  const tables = toFrames(series, { refId: 'A', format: 'table' });
  return {
    series: toFrames(series, { refId: 'A', format: 'time_series' }).filter(isChartable),
    tables,
    rows: tables.reduce((sum, frame) => sum + rowCount(frame), 0),
    seriesCount: series.length,
    messages: (result.messages ?? []).map(({ text }) => text),
  };
}

/** Time and numbers, and more than one moment: a single point is better read in the table. */
function isChartable(frame: Frame): boolean {
  return frame.fields[0]?.type === 'time' && frame.fields.some(({ type }) => type === 'number') && rowCount(frame) > 1;
}
