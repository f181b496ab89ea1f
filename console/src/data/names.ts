/** What a series is called: its alias, else no more than what tells it from its neighbours. */
import type { Field, FieldType, Frame } from './frame';

export interface NamedSeries {
  frame: Frame;
  field: Field;
  name: string;
}

const DRAWN: readonly FieldType[] = ['number', 'boolean'];

/** A name for each column of numbers or booleans beside a time column, or of the types that are asked for. */
export function nameSeries(frames: readonly Frame[], types = DRAWN): NamedSeries[] {
  const series = frames.flatMap((frame) => frame.fields.filter(({ type }) => types.includes(type)).map((field) => ({ frame, field })));
  const varying = varyingLabels(series.map(({ field }) => field));
  const columnsVary = new Set(series.map(({ field }) => field.name)).size > 1;
  const measurementsVary = new Set(series.map(({ frame }) => frame.name)).size > 1;
  return series.map(({ frame, field }) => {
    if (field.alias) return { frame, field, name: field.alias };
    const labels = varying.flatMap((key) => (field.labels[key] ? [field.labels[key]] : []));
    const column = measurementsVary ? `${frame.name} ${field.name}` : field.name;
    const parts = columnsVary || measurementsVary || labels.length === 0 ? [...labels, column] : labels;
    return { frame, field, name: parts.join(' · ') };
  });
}

/** Label keys that differ between the columns; those all share would only repeat themselves in each name. */
function varyingLabels(fields: readonly Field[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const field of fields) {
    for (const key of Object.keys(field.labels)) values.set(key, values.get(key) ?? new Set());
  }
  for (const [key, seen] of values) for (const field of fields) seen.add(field.labels[key] ?? '');
  const keys = [...values.keys()];
  const varying = keys.filter((key) => values.get(key)!.size > 1);
  // A single series grouped by host is about that host, so its labels are its name.
  return varying.length > 0 || fields.length !== 1 ? varying : keys.filter((key) => fields[0]!.labels[key] !== '');
}
