/** `reduceOptions` of stat and gauge panels: which numbers of the frames are shown. */
import { rangeOf, type Surroundings } from '../dashboard/display';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import type { FieldConfig, FieldConfigSource } from '../dashboard/model';
import { type Cell, type Field, type Frame, namesOf, timeField } from '../data/frame';
import { nameSeries } from '../data/names';
import { reduce } from '../data/reduce';
import { toRegex } from '../data/regex';

export interface ReduceOptions {
  calcs?: string[];
  fields?: string;
  values?: boolean;
  limit?: number;
}

export interface Reduced {
  key: string;
  name: string;
  value: Cell;
  config: FieldConfig;
  /** For its colour. */
  around: Surroundings;
  /** The series behind the number, for its small chart. */
  times: readonly Cell[] | undefined;
  values: readonly Cell[];
}

export function reduced(frames: readonly Frame[], options: ReduceOptions | undefined, source: FieldConfigSource | undefined): Reduced[] {
  const calc = options?.calcs?.[0] ?? 'lastNotNull';
  const wanted = fieldTest(options?.fields);
  // Counting rows works on any column; everything else needs numbers unless a column is asked for.
  const columns = wanted || calc === 'count' || calc === 'countAll' ? anyColumns(frames, wanted) : nameSeries(frames);
  const range = rangeOf(columns.map(({ field }) => field.values));
  return columns.map(({ frame, field, name }, i) => {
    const config = resolveFieldConfig(source, { name, field, refId: frame.refId });
    if (field.type === 'time') config.unit ??= 'dateTimeAsIso';
    return {
      key: `${i}/${name}`,
      name: config.displayName ?? name,
      value: reduce(field.values, calc),
      config,
      around: { index: i, range },
      times: timeField(frame)?.values,
      values: field.values,
    };
  });
}

function fieldTest(fields: string | undefined): ((name: string) => boolean) | undefined {
  if (!fields) return undefined;
  if (!fields.startsWith('/')) return (name) => name === fields;
  const pattern = toRegex(fields);
  return (name) => pattern?.test(name) ?? false;
}

function anyColumns(frames: readonly Frame[], wanted: ((name: string) => boolean) | undefined) {
  return frames.flatMap((frame) => {
    const usable = (field: Field) => (wanted ? namesOf(field).some(wanted) : field.type !== 'time');
    const fields = frame.fields.filter(usable);
    return (wanted ? fields : fields.slice(0, 1)).map((field) => ({ frame, field, name: field.alias ?? field.name }));
  });
}
