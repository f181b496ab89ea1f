/**
 * `groupSeries`: one series for each combination of some labels, adding up (or averaging) those that share it. Skywatch's
 * own transformation, used after `rate`: traffic by host out of counters by host and interface.
 *
 * ```json
 * { "id": "groupSeries", "options": { "by": ["host"], "reducer": "sum" } }
 * ```
 * Columns of different names stay apart. `reducer` is `sum`, `mean`, `min` or `max`; an empty `by` gives one series.
 */
import { type Cell, type Field, type Frame, makeField, timeField } from '../frame';
import { reduce } from '../reduce';

export interface GroupSeriesOptions {
  by?: string[];
  reducer?: string;
}

interface Group {
  frame: Frame;
  field: Field;
  labels: Record<string, string>;
  members: { times: readonly Cell[]; values: readonly Cell[] }[];
}

export function groupSeries(frames: readonly Frame[], options: GroupSeriesOptions): Frame[] {
  const by = options.by ?? [];
  const groups = new Map<string, Group>();
  const others: Frame[] = [];
  for (const frame of frames) {
    const time = timeField(frame);
    if (!time) {
      others.push(frame);
      continue;
    }
    for (const field of frame.fields) {
      if (field.type !== 'number') continue;
      const labels = Object.fromEntries(by.flatMap((key) => (key in field.labels ? [[key, field.labels[key]!]] : [])));
      const key = JSON.stringify([frame.refId, frame.name, field.name, labels]);
      const group = groups.get(key) ?? { frame, field, labels, members: [] };
      group.members.push({ times: time.values, values: field.values });
      groups.set(key, group);
    }
  }
  return [...groups.values()].map((group) => merged(group, options.reducer ?? 'sum')).concat(others);
}

/** Member values at the same time become one. A time at which no member has a value has none. */
function merged({ frame, field, labels, members }: Group, reducer: string): Frame {
  const slots = new Map<number, Cell[]>();
  for (const { times, values } of members) {
    for (let i = 0; i < times.length; i++) {
      const at = times[i] as number;
      const slot = slots.get(at);
      if (slot) slot.push(values[i] ?? null);
      else slots.set(at, [values[i] ?? null]);
    }
  }
  const times = [...slots.keys()].sort((a, b) => a - b);
  const values = times.map((at) => reduce(slots.get(at)!, reducer));
  // An alias such as "$tag_interface" names one member and would be wrong for the group.
  const alias = members.length === 1 ? field.alias : undefined;
  return {
    ...frame,
    fields: [
      makeField('Time', times, { type: 'time', labels }),
      makeField(field.name, values, { type: 'number', labels, alias }),
    ],
  };
}
