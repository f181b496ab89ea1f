/** InfluxDB's `/query` answers, and how they become frames. */
import { type Cell, type Field, type Frame, makeField } from './frame';

export interface InfluxSeries {
  name?: string;
  tags?: Record<string, string>;
  columns: string[];
  values?: Cell[][];
}

export interface InfluxResult {
  statement_id: number;
  series?: InfluxSeries[];
  error?: string;
  messages?: { level: string; text: string }[];
}

export interface InfluxResponse {
  results?: InfluxResult[];
  error?: string;
}

/** How a target wants its answer: a frame for each series and column, or one table of everything. */
export type ResultFormat = 'time_series' | 'table';

export interface ShapeOptions {
  refId: string;
  format: ResultFormat;
  alias?: string | undefined;
  /** What the column of times is called: `Time` as Grafana's data source does, unless told otherwise. */
  timeName?: string;
}

/** The first error in an answer: of the request, or of one of its statements. */
export function errorOf(response: InfluxResponse): string | undefined {
  return response.error ?? response.results?.find((result) => result.error)?.error;
}

export function toFrames(series: readonly InfluxSeries[], options: ShapeOptions): Frame[] {
  if (options.format === 'table') return toTable(series, options);
  return series.flatMap((one) => seriesFrames(one, options));
}

/** A frame of time and value for each column; the columns of a series share one array of times. */
function seriesFrames(series: InfluxSeries, { refId, alias, timeName = TIME_NAME }: ShapeOptions): Frame[] {
  const rows = series.values ?? [];
  const labels = series.tags ?? {};
  const name = series.name ?? '';
  if (series.columns[0] !== 'time') {
    return [{ refId, name, fields: series.columns.map((column, i) => columnField(column, rows, i, labels)) }];
  }
  const time = makeField(timeName, columnValues(rows, 0), { type: 'time', labels });
  return series.columns.slice(1).map((column, i) => {
    const field = columnField(column, rows, i + 1, labels);
    const named: Field = alias ? { ...field, alias: expandAlias(alias, series, column), foreignNames: VALUE } : { ...field, foreignNames: seriesNames(series, column) };
    return { refId, name, fields: [time, named] };
  });
}

/** All series stacked into one table: time, tags, columns. Series of other measurements keep their own table. */
function toTable(series: readonly InfluxSeries[], options: ShapeOptions): Frame[] {
  const groups = new Map<string, InfluxSeries[]>();
  for (const one of series) {
    const key = JSON.stringify([one.name ?? '', one.columns]);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()].map((group) => stack(group, options));
}

function stack(group: readonly InfluxSeries[], { refId, timeName = TIME_NAME }: ShapeOptions): Frame {
  const first = group[0]!;
  const tagKeys = [...new Set(group.flatMap((series) => Object.keys(series.tags ?? {})))];
  const hasTime = first.columns[0] === 'time';
  const values = first.columns.map((): Cell[] => []);
  const tags = tagKeys.map((): Cell[] => []);
  for (const series of group) {
    for (const row of series.values ?? []) {
      tagKeys.forEach((key, i) => tags[i]!.push(series.tags?.[key] ?? ''));
      first.columns.forEach((_, i) => values[i]!.push(row[i] ?? null));
    }
  }
  const columns = first.columns.map((name, i) =>
    i === 0 && hasTime ? makeField(timeName, values[i]!, { type: 'time' }) : makeField(name, values[i]!),
  );
  const tagFields = tagKeys.map((key, i) => makeField(key, tags[i]!, { type: 'string' }));
  const at = hasTime ? 1 : 0;
  return { refId, name: first.name ?? '', fields: [...columns.slice(0, at), ...tagFields, ...columns.slice(at)] };
}

function columnField(name: string, rows: readonly Cell[][], index: number, labels: Record<string, string>): Field {
  return makeField(name, columnValues(rows, index), { labels });
}

function columnValues(rows: readonly Cell[][], index: number): Cell[] {
  const values: Cell[] = new Array(rows.length);
  for (let row = 0; row < rows.length; row++) values[row] = rows[row]![index] ?? null;
  return values;
}

const TIME_NAME = 'Time';
const VALUE: readonly string[] = ['Value'];

/** `cpu.mean { host: a }`, in older versions of Grafana `cpu.mean {host: a}`; the column itself is `Value`. */
function seriesNames({ name = '', tags = {} }: InfluxSeries, column: string): string[] {
  const pairs = Object.entries(tags).map(([key, value]) => `${key}: ${value}`).join(', ');
  return [...(pairs ? [`${name}.${column} { ${pairs} }`, `${name}.${column} {${pairs}}`] : [`${name}.${column}`]), ...VALUE];
}

/** Grafana's alias patterns: `$m`, `$measurement`, `$col`, `$tag_host`, `$0`, and the same in `[[ ]]`. */
export function expandAlias(alias: string, series: InfluxSeries, column: string): string {
  const measurement = series.name ?? '';
  return alias.replace(/\$(\w+)|\[\[(\w+)\]\]/g, (whole, bare: string | undefined, bracketed: string | undefined) => {
    const key = bare ?? bracketed ?? '';
    if (key === 'm' || key === 'measurement') return measurement;
    if (key === 'col') return column;
    if (key.startsWith('tag_')) return series.tags?.[key.slice(4)] ?? '';
    if (/^\d+$/.test(key)) return measurement.split('.')[Number(key)] ?? whole;
    return whole;
  });
}
