/** From a panel to its frames: queries with everything filled in, asked side by side, transformed. */
import { fluxQuery, influxQuery } from '../data/client';
import { fluxFrames } from '../data/flux';
import type { Frame } from '../data/frame';
import { type ShapeOptions, toFrames } from '../data/influx';
import { type Language, languageOf } from '../data/language';
import { transform, type Transformed } from '../data/transform';
import { influxDuration, parseDuration } from '../time/duration';
import { bucketMs } from '../time/interval';
import type { TimeRange } from '../time/range';
import { emptyIfMissing } from './emptyIfMissing';
import { interpolate, type VariableValue } from './interpolate';
import { fluxTime } from './macros';
import type { Panel, Target } from './model';
import { minInterval, resolveAuto } from './variables';

export interface PlannedQuery extends ShapeOptions {
  q: string;
  language: Language;
  database: string;
}

/** A panel's queries, ready to be sent. Equal plans give equal answers, so the plan is the cache key. */
export interface PanelPlan {
  database: string;
  intervalMs: number;
  range: TimeRange;
  queries: PlannedQuery[];
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
  const queries = (panel.targets ?? []).filter(isAsked).map((target): PlannedQuery => {
    const database = target.database ?? context.database;
    const language = languageOf(target.query ?? '');
    return {
      q: interpolate(target.query ?? '', { ...scope, bucket: database }, language),
      language,
      refId: target.refId,
      format: target.resultFormat === 'table' ? 'table' : 'time_series',
      alias: target.alias ? interpolate(target.alias, scope) : undefined,
      database,
    };
  });
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
  /** Queries that failed, the others are still shown, or whose answer was too long to be shown in full. */
  errors: { refId: string; message: string }[];
}

/** Rejects only when every query failed. */
export async function runPlan(plan: PanelPlan, panel: Panel, signal?: AbortSignal): Promise<PanelResult> {
  const answers = await Promise.allSettled(
    plan.queries.map((query) => (query.language === 'flux' ? askFlux(query, signal) : askInfluxql(query, signal))),
  );
  const failed = answers.flatMap((answer, i) => (answer.status === 'rejected' ? [{ refId: plan.queries[i]!.refId, reason: answer.reason as unknown }] : []));
  if (failed.length > 0 && failed.length === answers.length) throw failed[0]!.reason;
  const frames = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.frames : []));
  const buckets = { intervalMs: plan.intervalMs, toMs: plan.range.to };
  const cut = answers.flatMap((answer, i) => (answer.status === 'fulfilled' && answer.value.notice ? [{ refId: plan.queries[i]!.refId, message: answer.value.notice }] : []));
  const errors = failed.map(({ refId, reason }) => ({ refId, message: reason instanceof Error ? reason.message : String(reason) }));
  return { ...transform(frames, panel.transformations ?? [], buckets), errors: [...errors, ...cut] };
}

interface Answered {
  frames: Frame[];
  notice?: string | undefined;
}

async function askInfluxql({ q, database, ...shape }: PlannedQuery, signal?: AbortSignal): Promise<Answered> {
  const answer = await influxQuery({ q, db: database }, signal).catch(emptyIfMissing({ results: [] }));
  return { frames: (answer.results ?? []).flatMap((result) => toFrames(result.series ?? [], shape)) };
}

async function askFlux({ q, refId }: PlannedQuery, signal?: AbortSignal): Promise<Answered> {
  const { tables, notice } = await fluxQuery(q, signal).catch(emptyIfMissing({ tables: [], notice: undefined }));
  return { frames: fluxFrames(tables, refId), notice };
}

/** The query as it would be typed in Explore, where it may move with the clock. */
export function movingText({ q, language }: PlannedQuery, { range, intervalMs }: PanelPlan): string {
  if (language === 'flux') {
    return q
      .replaceAll(fluxTime(range.from), 'v.timeRangeStart')
      .replaceAll(fluxTime(range.to), 'v.timeRangeStop')
      .replaceAll(new RegExp(`\\b(every|period)(\\s*:\\s*)${influxDuration(intervalMs)}\\b`, 'g'), '$1$2v.windowPeriod');
  }
  return q
    .replace(`time >= ${Math.round(range.from)}ms and time <= ${Math.round(range.to)}ms`, '$timeFilter')
    .replace(/\btime\(\d+(?:ms|[smhd])\)/g, 'time($__interval)');
}
