/** Runs what is in the editor: macros filled in, answers shaped for chart and table. */
import type { FluxAnswer } from '../data/annotatedCsv';
import { fluxQuery, influxQuery } from '../data/client';
import { fluxFrames, fluxRows } from '../data/flux';
import { type Frame, rowCount } from '../data/frame';
import { type InfluxResult, toFrames } from '../data/influx';
import type { Language } from '../data/language';
import { fill, type Filled, type Scope } from '../dashboard/interpolate';
import { bucketMs } from '../time/interval';
import type { TimeRange } from '../time/range';

export interface StatementResult {
  /** What tells it from the others of the answer. */
  title?: string | undefined;
  /** For the chart: a frame for each series. */
  series: Frame[];
  /** For the table: series of a kind stacked. */
  tables: Frame[];
  rows: number;
  seriesCount: number;
  messages: string[];
}

export interface RunResult {
  statements: StatementResult[];
  tookMs: number;
  /** What was left out of an answer that is too long to be shown. */
  notice?: string | undefined;
}

/** What is typed, where it is asked. */
export interface Question {
  q: string;
  language: Language;
  db: string;
}

const POINTS = 700;

/** The text that is sent. */
export function filled({ q, language, db }: Question, range: TimeRange): Filled {
  const scope: Scope = { range, intervalMs: bucketMs(range.to - range.from, POINTS), variables: {}, bucket: db };
  return fill(q, scope, language);
}

/** `sent` has its macros filled in. */
export async function run(sent: Question, signal?: AbortSignal): Promise<RunResult> {
  const started = performance.now();
  const { statements, notice } = await ask(sent, signal);
  const titled = statements.length > 1 ? statements : statements.map((one) => ({ ...one, title: undefined }));
  return { statements: titled, notice, tookMs: performance.now() - started };
}

async function ask({ q, language, db }: Question, signal?: AbortSignal): Promise<Pick<RunResult, 'statements' | 'notice'>> {
  if (language === 'flux') {
    const answer = await fluxQuery(q, signal);
    return { statements: shapeFlux(answer), notice: answer.notice };
  }
  const answer = await influxQuery({ q, db }, signal);
  return { statements: (answer.results ?? []).map((result, i) => ({ ...shape(result), title: `Statement ${i + 1}` })) };
}

export function shape(result: InfluxResult): StatementResult {
  const series = result.series ?? [];
  return {
    series: toFrames(series, { refId: 'A', format: 'time_series' }).filter(isChartable),
    ...listed(toFrames(series, { refId: 'A', format: 'table', timeName: 'time' }), series.length),
    messages: (result.messages ?? []).map(({ text }) => text),
  };
}

/** What each `yield()` gave. */
export function shapeFlux({ tables }: FluxAnswer): StatementResult[] {
  const names = [...new Set(tables.map(({ result }) => result))];
  // An answer without a table is one of no rows, not none.
  return (names.length > 0 ? names : ['']).map((name) => {
    const own = tables.filter(({ result }) => result === name);
    return { title: `Result ${name}`, series: fluxFrames(own, 'A').filter(isChartable), ...listed(fluxRows(own, 'A'), own.length), messages: [] };
  });
}

function listed(tables: Frame[], seriesCount: number): Pick<StatementResult, 'tables' | 'rows' | 'seriesCount'> {
  return { tables, rows: tables.reduce((sum, frame) => sum + rowCount(frame), 0), seriesCount };
}

/** Time and numbers, and more than one moment: a single point is better read in the table. */
function isChartable(frame: Frame): boolean {
  return frame.fields[0]?.type === 'time' && frame.fields.some(({ type }) => type === 'number') && rowCount(frame) > 1;
}
