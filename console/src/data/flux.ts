/** How Flux's tables become frames: for charts as Grafana's data source makes them, for reading as they are. */
import type { FluxTable } from './annotatedCsv';
import { type Cell, type Field, type Frame, makeField } from './frame';

/** The frames of a panel. */
export function fluxFrames(tables: readonly FluxTable[], refId: string): Frame[] {
  return tables.map((table) => (isSeries(table) ? seriesFrame(table, refId) : plainFrame(table, refId)));
}

/** One time and one value: what a line is drawn of. */
function isSeries({ columns }: FluxTable): boolean {
  const count = (name: string) => columns.filter((column) => column.name === name).length;
  return count('_time') === 1 && count('_value') === 1 && columns.some(({ name, type }) => name === '_time' && type === 'time');
}

function seriesFrame(table: FluxTable, refId: string): Frame {
  const { _field: _, ...labels } = labelsOf(table);
  const field = table.columns.findIndex(({ name }) => name === '_field');
  const of = (name: string, shown: string): Field => {
    const at = table.columns.findIndex((column) => column.name === name);
    return makeField(shown, table.values[at]!, { type: table.columns[at]!.type, labels });
  };
  const [name, column] = [measurementOf(table), String(table.values[field]?.[0] ?? 'Value')];
  const value = { ...of('_value', column), foreignNames: seriesNames(name, column, labels) };
  return { refId, name, fields: [of('_time', 'Time'), value] };
}

/** As Grafana puts a series' name together: `cpu usage {host="a"}`, in older versions without the measurement. */
function seriesNames(measurement: string, column: string, labels: Record<string, string>): string[] {
  const keys = Object.keys(labels).sort();
  const pairs = keys.map((key) => `${key}="${labels[key]}"`).join(', ');
  // A single label stands for itself.
  const behind = [...(pairs ? [` {${pairs}}`] : []), ...(keys.length === 1 ? [` ${labels[keys[0]!]!}`] : []), ''];
  return [...(measurement ? [`${measurement} `] : []), ''].flatMap((before) => behind.map((end) => `${before}${column}${end}`)).filter((name) => name !== column);
}

/** Every column under its own name, times first and the row's own time before the bounds of the range. */
function plainFrame(table: FluxTable, refId: string): Frame {
  const labels = labelsOf(table);
  const fields = table.columns.map(({ name, type }, i) => makeField(name, table.values[i]!, { type, labels }));
  return { refId, name: measurementOf(table), fields: timesFirst(fields) };
}

/** Group columns that have something in them, without the range's bounds. The measurement is the frame's name instead. */
function labelsOf({ columns, values }: FluxTable): Record<string, string> {
  const labels: Record<string, string> = {};
  columns.forEach(({ name, type, grouped }, i) => {
    const cell = values[i]![0] ?? null;
    if (!grouped || NO_LABELS.has(name) || cell === null) return;
    labels[name] = type === 'time' ? new Date(Number(cell)).toISOString() : String(cell);
  });
  return labels;
}

const NO_LABELS: ReadonlySet<string> = new Set(['_measurement', '_start', '_stop']);

function measurementOf({ columns, values }: FluxTable): string {
  const at = columns.findIndex(({ name, grouped }) => grouped && name === '_measurement');
  return at < 0 ? '' : String(values[at]![0] ?? '');
}

const TIMES = ['_time', '_start', '_stop'];

function timesFirst(fields: readonly Field[]): Field[] {
  const rank = ({ name, type }: Field) => (type === 'time' ? (TIMES.indexOf(name) + 1 || TIMES.length + 1) : TIMES.length + 2);
  return [...fields].sort((a, b) => rank(a) - rank(b));
}

/** For reading: tables of the same columns below each other. The range's bounds, the same in every row, are left out. */
export function fluxRows(tables: readonly FluxTable[], refId: string): Frame[] {
  const kinds = new Map<string, FluxTable[]>();
  for (const table of tables) {
    const kind = JSON.stringify(table.columns.map(({ name, type }) => [name, type]));
    const seen = kinds.get(kind);
    if (seen) seen.push(table);
    else kinds.set(kind, [table]);
  }
  return [...kinds.values()].map((kind) => {
    const { columns } = kind[0]!;
    const hasTime = columns.some(({ name }) => name === '_time');
    const fields = columns.flatMap(({ name, type }, i) =>
      hasTime && (name === '_start' || name === '_stop') ? [] : [makeField(name, kind.flatMap(({ values }): Cell[] => values[i]!), { type })],
    );
    const names = new Set(kind.map(measurementOf));
    return { refId, name: names.size === 1 ? [...names][0]! : '', fields: timesFirst(fields) };
  });
}

/** The values of a variable: the first column of text. */
export function firstStrings(frames: readonly Frame[]): string[] {
  const values = frames.flatMap(({ fields }) => fields.find(({ type }) => type === 'string')?.values ?? []);
  return [...new Set(values.filter((value) => value !== null).map(String))];
}
