/** Data as panels see it: columns of equal length, grouped into frames. A time series is a frame of time and value. */

export type Cell = number | string | boolean | null;
export type FieldType = 'time' | 'number' | 'string' | 'boolean';

/** A column. Columns are shared between frames, never changed in place. */
export interface Field {
  name: string;
  type: FieldType;
  values: readonly Cell[];
  /** Tags of the series the column belongs to. */
  labels: Readonly<Record<string, string>>;
  /** Name asked for by the query's alias, if any. */
  alias?: string | undefined;
  /** What Grafana calls the column where the console says less: names that overrides and transformations may use. */
  foreignNames?: readonly string[] | undefined;
}

export interface Frame {
  refId: string;
  name: string;
  fields: readonly Field[];
}

export const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/** Every name that a dashboard may call the column by, its own first. */
export function namesOf({ name, type, alias, foreignNames = [] }: Pick<Field, 'name' | 'type' | 'alias' | 'foreignNames'>): string[] {
  // "Time 2" after a join.
  const time = type === 'time' && /^time( \d+)?$/i.test(name) ? [name.replace('t', 'T'), name.replace('T', 't')] : [];
  return [name, ...(alias ? [alias] : []), ...foreignNames, ...time];
}

export function isNamed(field: Parameters<typeof namesOf>[0], wanted: string): boolean {
  return namesOf(field).includes(wanted);
}

export function rowCount(frame: Frame): number {
  return frame.fields[0]?.values.length ?? 0;
}

export function timeField(frame: Frame): Field | undefined {
  return frame.fields.find((field) => field.type === 'time');
}

/** The type that the first value has; later values of another type become null, as in Grafana. */
export function typeOf(values: readonly Cell[]): FieldType {
  for (const value of values) {
    if (value === null) continue;
    return typeof value as FieldType;
  }
  return 'number';
}

export function makeField(name: string, values: readonly Cell[], extra: Partial<Field> = {}): Field {
  const { type = typeOf(values), labels = NO_LABELS, alias, foreignNames } = extra;
  return { name, type, values, labels, alias, ...(foreignNames ? { foreignNames } : {}) };
}
