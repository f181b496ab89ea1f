/** From a panel to its frames: queries with everything filled in, asked side by side, transformed. */
import { influxQuery } from '../data/client';
import type { Frame } from '../data/frame';
import { toFrames } from '../data/influx';
import { transform, type Transformed } from '../data/transform';
import { parseDuration } from '../time/duration';
import { bucketMs } from '../time/interval';
import type { TimeRange } from '../time/range';
import { emptyIfMissing } from './emptyIfMissing';
import { interpolate, type VariableValue } from './interpolate';
import type { Panel, Target } from './model';
import { minInterval, resolveAuto } from './variables';

/** A panel's queries, ready to be sent. Equal plans give equal answers, so the plan is the cache key. */
export interface PanelPlan {
  database: string;
  intervalMs: number;
  range: TimeRange;
  queries: { q: string; refId: string; format: 'time_series' | 'table'; alias?: string | undefined; database: string }[];
}

export interface PlanContext {
  range: TimeRange;
  /** True when the range ends at the present, so that its start may be moved to a bucket's bound. */
  live: boolean;
  width: number;
  database: string;
  variables: Readonly<Record<string, VariableValue>>;
}

/** Neighbouring points closer than this many pixels cannot be told apart. */
const PIXELS_PER_POINT = 2;
/** Panels of similar width share a plan, so that dragging a window's edge does not ask again at each pixel. */
const WIDTH_STEP = 100;

export function planPanel(panel: Panel, context: PlanContext): PanelPlan {
  const points = panel.maxDataPoints ?? Math.max(1, Math.ceil(context.width / WIDTH_STEP)) * (WIDTH_STEP / PIXELS_PER_POINT);
  const asked = ownRange(panel, context.range);
  const intervalMs = bucketMs(asked.to - asked.from, points, minInterval(panel.interval));
  // A first bucket that is cut off would show a low sum or an early rate.
  const from = context.live ? Math.floor(asked.from / intervalMs) * intervalMs : asked.from;
  const range = { from, to: asked.to };
  const variables = Object.fromEntries(
    Object.entries(context.variables).map(([name, value]) => [name, resolveAuto(value, intervalMs)]),
  );
  const scope = { range, intervalMs, variables };
  const queries = (panel.targets ?? []).filter(isAsked).map((target) => ({
    q: interpolate(target.query ?? '', scope),
    refId: target.refId,
    format: target.resultFormat === 'table' ? ('table' as const) : ('time_series' as const),
    alias: target.alias ? interpolate(target.alias, { ...scope, variables }) : undefined,
    database: target.database ?? context.database,
  }));
  return { database: context.database, intervalMs, range, queries };
}

/** `timeFrom` of a panel: only so much before the range's end, whatever the range. */
function ownRange({ timeFrom }: Panel, range: TimeRange): TimeRange {
  const own = timeFrom ? parseDuration(timeFrom) : undefined;
  return own === undefined ? range : { from: range.to - own, to: range.to };
}

function isAsked({ hide, query }: Target): boolean {
  return !hide && !!query && query.trim() !== '';
}

export interface PanelResult extends Transformed {
  /** Failures of single queries; the others are still shown. */
  errors: { refId: string; message: string }[];
}

/** Rejects only when every query failed. */
export async function runPlan(plan: PanelPlan, panel: Panel, signal?: AbortSignal): Promise<PanelResult> {
  const answers = await Promise.allSettled(
    plan.queries.map(async ({ q, database, ...shape }): Promise<Frame[]> => {
      const answer = await influxQuery({ q, db: database }, signal).catch(emptyIfMissing);
      return (answer.results ?? []).flatMap((result) => toFrames(result.series ?? [], shape));
    }),
  );
  const failed = answers.flatMap((answer, i) => (answer.status === 'rejected' ? [{ refId: plan.queries[i]!.refId, reason: answer.reason as unknown }] : []));
  if (failed.length > 0 && failed.length === answers.length) throw failed[0]!.reason;
  const frames = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const buckets = { intervalMs: plan.intervalMs, toMs: plan.range.to };
  const errors = failed.map(({ refId, reason }) => ({ refId, message: reason instanceof Error ? reason.message : String(reason) }));
  return { ...transform(frames, panel.transformations ?? [], buckets), errors };
}
