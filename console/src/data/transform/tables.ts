/** Grafana's transformations that make and mend tables: reduce, joinByField, organize, sortBy, limit, filters. */
import { type Cell, type Field, type Frame, isNamed, makeField, namesOf, rowCount, timeField, typeOf } from '../frame';
import { toRegex } from '../regex';
import { reduce, reducerLabel } from '../reduce';

export interface ReduceOptions {
  reducers?: string[];
  labelsToFields?: boolean;
  mode?: 'seriesToRows' | 'reduceFields';
  /**
   * Skywatch's own: the column of values is called as the column it comes from and "Field" is left out, so that tables of
   * several queries can be joined and renamed whichever of them has data.
   */
  nameByField?: boolean;
}

/** Where Grafana calls a reduced column otherwise. */
const FOREIGN_LABELS: Readonly<Record<string, string[]>> = {
  lastNotNull: ['Last *'], firstNotNull: ['First *'], countAll: ['Count all'], distinctCount: ['Distinct Count'], allIsZero: ['All Zeros'], allIsNull: ['All Nulls'],
}; // prettier-ignore

/** Each column of values becomes a row: its name, its labels, its reduced values. */
export function reduceToRows(frames: readonly Frame[], options: ReduceOptions): Frame[] {
  const reducers = options.reducers ?? ['lastNotNull'];
  if (options.mode === 'reduceFields') return reduceColumns(frames, reducers);
  const columns = frames.flatMap((frame) => {
    const timed = timeField(frame) !== undefined;
    return frame.fields.filter((field) => field.type !== 'time' && (timed || field.type === 'number'));
  });
  if (columns.length === 0) return [];
  const labelKeys = options.labelsToFields ? [...new Set(columns.flatMap((field) => Object.keys(field.labels)))] : [];
  const ownName = options.nameByField ? columns[0]!.name : undefined;
  const fields: Field[] = [
    makeField('Field', columns.map((field) => field.alias ?? (options.labelsToFields ? field.name : (field.foreignNames?.[0] ?? field.name))), { type: 'string' }),
    ...labelKeys.map((key) => makeField(key, columns.map((field) => field.labels[key] ?? ''), { type: 'string' })),
    ...reducers.map((id) => makeField(ownName ?? reducerLabel(id), columns.map((field) => reduce(field.values, id)), { foreignNames: FOREIGN_LABELS[id] })),
  ];
  return [{ refId: frames[0]!.refId, name: frames[0]!.name, fields: ownName ? fields.slice(1) : fields }];
}

/** Each table keeps its columns of numbers, one row of them; several reducers give a column each. */
function reduceColumns(frames: readonly Frame[], reducers: readonly string[]): Frame[] {
  return frames.flatMap((frame): Frame[] => {
    const fields = frame.fields.filter(({ type }) => type === 'number').flatMap((field) =>
      reducers.map((id): Field => {
        const values = [reduce(field.values, id)];
        const labels = reducers.length > 1 ? { ...field.labels, reducer: reducerLabel(id) } : field.labels;
        const name = reducers.length > 1 ? `${field.name} ${reducerLabel(id)}` : field.name;
        return { ...field, name, type: typeOf(values), values, labels };
      }),
    ); // prettier-ignore
    return fields.length > 0 ? [{ ...frame, fields }] : [];
  });
}

export interface JoinOptions {
  byField?: string;
  /** Skywatch's own: several columns that together identify a row, such as host and domain_name. */
  byFields?: string[];
  mode?: 'outer' | 'inner';
}

/** One table out of several, a row for each key. Where a key comes twice in a table, its last row counts. */
export function joinByField(frames: readonly Frame[], options: JoinOptions): Frame[] {
  const keys = options.byFields ?? [options.byField];
  // Without a name the times are what tables have in common, whatever they are called.
  const keyField = (frame: Frame, key: string | undefined) => (key ? frame.fields.find((field) => isNamed(field, key)) : timeField(frame));
  const tables = frames.filter((frame) => keys.every((key) => keyField(frame, key)));
  if (tables.length === 0) return [];
  const keyOf = (frame: Frame, row: number) => JSON.stringify(keys.map((key) => keyField(frame, key)!.values[row] ?? null));
  const indexes = tables.map((frame) => {
    const rows = new Map<string, number>();
    for (let row = 0; row < rowCount(frame); row++) rows.set(keyOf(frame, row), row);
    return rows;
  });
  let order = [...new Set(indexes.flatMap((rows) => [...rows.keys()]))];
  if (options.mode === 'inner') order = order.filter((key) => indexes.every((rows) => rows.has(key)));
  const identities = order.map((key) => JSON.parse(key) as Cell[]);

  const fields: Field[] = keys.map((key, i) => {
    const { name, type } = keyField(tables[0]!, key)!;
    return makeField(name, identities.map((identity) => identity[i] ?? null), type === 'time' ? { type } : {});
  });
  const columns = tables.flatMap((frame, table) => {
    const own = keys.map((key) => keyField(frame, key));
    return frame.fields.filter((field) => !own.includes(field)).map((field) => ({ field, rows: indexes[table]! }));
  });
  const names = numbered(columns.map(({ field }) => field.name));
  columns.forEach(({ field, rows }, i) => {
    const values = order.map((key) => {
      const row = rows.get(key);
      return row === undefined ? null : (field.values[row] ?? null);
    });
    fields.push({ ...field, name: names[i]!, values });
  });
  return [{ refId: tables[0]!.refId, name: tables[0]!.name, fields }];
}

/** Equal names are told apart by a number, the first one too, as in Grafana: "Time 1", "Time 2". */
function numbered(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name, i) => {
    if (names.indexOf(name) === i && names.lastIndexOf(name) === i) return name;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return `${name} ${count}`;
  });
}

export interface OrganizeOptions {
  excludeByName?: Record<string, boolean>;
  indexByName?: Record<string, number>;
  renameByName?: Record<string, string>;
}

export function organize(frame: Frame, options: OrganizeOptions): Frame {
  const { excludeByName = {}, indexByName = {}, renameByName = {} } = options;
  const position = (field: Field) => byName(indexByName, field) ?? Number.MAX_SAFE_INTEGER;
  const kept = frame.fields.filter((field) => !byName(excludeByName, field));
  const sorted = kept
    .map((field, i) => ({ field, i }))
    .sort((a, b) => position(a.field) - position(b.field) || a.i - b.i)
    .map(({ field }) => field);
  return {
    ...frame,
    fields: sorted.map((field) => {
      const name = byName(renameByName, field);
      return name ? { ...field, name, alias: undefined, foreignNames: undefined } : field;
    }),
  };
}

function byName<T>(wanted: Readonly<Record<string, T>>, field: Field): T | undefined {
  const name = namesOf(field).find((candidate) => Object.hasOwn(wanted, candidate));
  return name === undefined ? undefined : wanted[name];
}

function withRows(frame: Frame, rows: readonly number[]): Frame {
  const fields = frame.fields.map((field) => ({ ...field, values: rows.map((row) => field.values[row] ?? null) }));
  return { ...frame, fields };
}

/** Numbers by size, text by the alphabet with numbers inside taken as numbers ("vm-2" before "vm-10"), nothing last. */
export function compareCells(a: Cell, b: Cell): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

export interface SortByOptions {
  sort?: { field?: string; desc?: boolean }[];
}

export function sortBy(frame: Frame, options: SortByOptions): Frame {
  const order = options.sort?.[0];
  const field = frame.fields.find((candidate) => order?.field !== undefined && isNamed(candidate, order.field));
  if (!field) return frame;
  const rows = field.values.map((_, row) => row);
  const value = (row: number) => field.values[row] ?? null;
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const compared = compareCells(x, y);
    return order?.desc && x !== null && y !== null ? -compared : compared;
  });
  return withRows(frame, rows);
}

export function limitRows(frame: Frame, limit: number): Frame {
  return rowCount(frame) <= limit ? frame : withRows(frame, Array.from({ length: limit }, (_, row) => row));
}

export interface FilterByValueOptions {
  type?: 'include' | 'exclude';
  match?: 'any' | 'all';
  filters?: { fieldName: string; config: { id: string; options?: { value?: unknown; from?: number; to?: number } } }[];
}

export function filterByValue(frame: Frame, options: FilterByValueOptions): Frame {
  const tests = (options.filters ?? []).flatMap((filter) => {
    const field = frame.fields.find((candidate) => isNamed(candidate, filter.fieldName));
    return field ? [(row: number) => matches(field.values[row] ?? null, filter.config)] : [];
  });
  if (tests.length === 0) return frame;
  const rows = Array.from({ length: rowCount(frame) }, (_, row) => row).filter((row) => {
    const hit = options.match === 'all' ? tests.every((test) => test(row)) : tests.some((test) => test(row));
    return options.type === 'exclude' ? !hit : hit;
  });
  return withRows(frame, rows);
}

function matches(cell: Cell, config: { id: string; options?: { value?: unknown; from?: number; to?: number } }): boolean {
  const value = config.options?.value;
  switch (config.id) {
    case 'equal': return String(cell) === String(value);
    case 'notEqual': return String(cell) !== String(value);
    case 'greater': return typeof cell === 'number' && cell > Number(value);
    case 'greaterOrEqual': return typeof cell === 'number' && cell >= Number(value);
    case 'lower': return typeof cell === 'number' && cell < Number(value);
    case 'lowerOrEqual': return typeof cell === 'number' && cell <= Number(value);
    case 'between': {
      const { from, to } = config.options ?? {};
      return typeof cell === 'number' && cell >= Number(from) && cell <= Number(to);
    }
    case 'isNull': return cell === null;
    case 'isNotNull': return cell !== null;
    case 'regex': return new RegExp(String(value)).test(String(cell));
    default: return true;
  }
}

export interface FilterFieldsOptions {
  include?: { names?: string[]; pattern?: string };
  exclude?: { names?: string[]; pattern?: string };
}

/** Keeps columns by name; time stays unless it is named for exclusion. */
export function filterFieldsByName(frame: Frame, { include, exclude }: FilterFieldsOptions): Frame {
  const hits = (field: Field, rule: { names?: string[]; pattern?: string }) =>
    (rule.names?.some((name) => isNamed(field, name)) ?? false) || (!!rule.pattern && (patternOf(rule.pattern)?.test(field.alias ?? field.name) ?? false));
  const fields = frame.fields.filter(
    (field) => (!include || field.type === 'time' || hits(field, include)) && !(exclude && hits(field, exclude)),
  );
  return { ...frame, fields };
}

/** Without slashes a pattern may match anywhere, as the console has always taken it. */
function patternOf(pattern: string): RegExp | undefined {
  return toRegex(pattern.startsWith('/') ? pattern : `/${pattern}/`);
}
