/** Runs a panel's transformations in order. One that is unknown leaves the data alone, as in Grafana, and is named. */
import type { Frame } from './frame';
import { groupSeries, type GroupSeriesOptions } from './transform/groupSeries';
import { type Buckets, rate, type RateOptions } from './transform/rate';
import {
  filterByValue, type FilterByValueOptions, filterFieldsByName, type FilterFieldsOptions, joinByField,
  type JoinOptions, limitRows, organize, type OrganizeOptions, reduceToRows, type ReduceOptions, sortBy,
  type SortByOptions,
} from './transform/tables'; // prettier-ignore

export interface Transformation {
  id: string;
  disabled?: boolean;
  /** Only frames of these queries: `{ "id": "byRefId", "options": "A" }`, a name or a regular expression. */
  filter?: { id: string; options?: unknown };
  options?: unknown;
}

type Step = (frames: readonly Frame[], options: unknown, buckets: Buckets) => Frame[];

const each =
  <T>(one: (frame: Frame, options: T, buckets: Buckets) => Frame): Step =>
  (frames, options, buckets) =>
    frames.map((frame) => one(frame, (options ?? {}) as T, buckets));

const all =
  <T>(some: (frames: readonly Frame[], options: T) => Frame[]): Step =>
  (frames, options) =>
    some(frames, (options ?? {}) as T);

const STEPS: Record<string, Step> = {
  rate: each<RateOptions>(rate),
  groupSeries: all<GroupSeriesOptions>(groupSeries),
  reduce: all<ReduceOptions>(reduceToRows),
  joinByField: all<JoinOptions>(joinByField),
  organize: each<OrganizeOptions>(organize),
  sortBy: each<SortByOptions>(sortBy),
  limit: each<{ limitField?: number }>((frame, { limitField }) => limitRows(frame, limitField ?? 10)),
  filterByValue: each<FilterByValueOptions>(filterByValue),
  filterFieldsByName: each<FilterFieldsOptions>(filterFieldsByName),
  filterByRefId: all<{ include?: string }>((frames, { include }) => frames.filter((frame) => matchesRef(frame, include))),
};

export interface Transformed {
  frames: Frame[];
  /** Ids of transformations that the console does not know. */
  unknown: string[];
}

export function transform(frames: Frame[], steps: readonly Transformation[], buckets: Buckets): Transformed {
  const unknown: string[] = [];
  let current = frames;
  for (const { id, disabled, filter, options } of steps) {
    if (disabled) continue;
    const step = STEPS[id];
    if (!step) {
      unknown.push(id);
      continue;
    }
    if (filter?.id === 'byRefId') {
      const concerned = (frame: Frame) => matchesRef(frame, filter.options);
      const rest = current.filter((frame) => !concerned(frame));
      current = [...rest, ...step(current.filter(concerned), options, buckets)];
    } else {
      current = step(current, options, buckets);
    }
  }
  return { frames: current, unknown };
}

/** `A`, `A|B`, or a regular expression between slashes, as Grafana stores them. */
function matchesRef(frame: Frame, wanted: unknown): boolean {
  if (typeof wanted !== 'string' || wanted === '') return true;
  const bare = /^\/(.*)\/$/.exec(wanted)?.[1] ?? wanted;
  return new RegExp(`^(?:${bare})$`).test(frame.refId);
}
