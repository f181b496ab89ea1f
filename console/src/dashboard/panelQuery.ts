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
import { withFilters } from './adhoc';
import { emptyIfMissing } from './emptyIfMissing';
import { interpolate, type VariableValue } from './interpolate';
import { fluxTime } from './macros';
import type { Panel } from './model';
import { minInterval, resolveAuto } from './variables';
import { queryOf } from './visualQuery';

export interface PlannedQuery extends ShapeOptions {
  q: string;
  language: Language;
  database: string;
  /** InfluxQL only: the retention policy, if not the database's default. */
  policy?: string | undefined;
}

/** A panel's queries, ready to be sent. Equal plans give equal answers, so the plan is the cache key. */
export interface PanelPlan {
  database: string;
  intervalMs: number;
  range: TimeRange;
  /** What the panel shows when it has a time of its own: its range, and how to say so. */
  own?: { range: TimeRange; text: string } | undefined;
  queries: PlannedQuery[];
}

export interface PlanContext {
  range: TimeRange;
  /** True when the range ends at the present, so that its start may be moved to a bucket's bound. */
  live: boolean;
  width: number;
  database: string;
  variables: Readonly<Record<string, VariableValue>>;
  dashboard?: { uid: string; title: string } | undefined;
}

/** Neighbouring points closer than this many pixels cannot be told apart. */
const PIXELS_PER_POINT = 2;
/** Panels of similar width share a plan, so that dragging a window's edge does not ask again at each pixel. */
const WIDTH_STEP = 100;

export function planPanel(panel: Panel, context: PlanContext): PanelPlan {
  const points = panel.maxDataPoints ?? Math.max(1, Math.ceil(context.width / WIDTH_STEP)) * (WIDTH_STEP / PIXELS_PER_POINT);
  const typed = (text: string | null | undefined) => (text ? interpolate(text, { range: context.range, intervalMs: 0, variables: context.variables }) : undefined);
  const own = ownTime(typed(panel.timeFrom), typed(panel.timeShift), context.range);
  const asked = own?.range ?? context.range;
  const intervalMs = bucketMs(asked.to - asked.from, points, minInterval(typed(panel.interval)));
  // A first bucket that is cut off would show a low sum or an early rate.
  const from = context.live ? Math.floor(asked.from / intervalMs) * intervalMs : asked.from;
  const range = { from, to: asked.to };
  const variables = Object.fromEntries(
    Object.entries(context.variables).map(([name, value]) => [name, resolveAuto(value, intervalMs, asked)]),
  );
  const scope = { range, intervalMs, variables, dashboard: context.dashboard };
  const filters = Object.values(variables).flatMap((value) => value.filters ?? []);
  const queries = (panel.targets ?? []).filter(({ hide }) => !hide).flatMap((target): PlannedQuery[] => {
    const own = queryOf(target);
    if (own.trim() === '') return [];
    const database = target.database ?? context.database;
    const language = languageOf(own);
    const text = language === 'influxql' ? withFilters(own, filters) : own;
    const policy = target.policy && language === 'influxql' ? interpolate(target.policy, scope) : 'default';
    return [{
      q: interpolate(text, { ...scope, bucket: database }, language),
      language,
      refId: target.refId,
      format: target.resultFormat === 'table' || target.resultFormat === 'logs' ? 'table' : 'time_series',
      alias: target.alias ? interpolate(target.alias, scope) : undefined,
      database,
      policy: policy === 'default' ? undefined : policy,
    }]; // prettier-ignore
  });
  return { database: context.database, intervalMs, range, own: panel.hideTimeOverride && own ? { ...own, text: '' } : own, queries };
}

/** `timeFrom`: only so much before the range's end, whatever the range. `timeShift`: as long, but so much earlier. */
function ownTime(timeFrom: string | undefined, timeShift: string | undefined, range: TimeRange): PanelPlan['own'] {
  const width = timeFrom ? parseDuration(timeFrom.replace(/^now-/, '')) : undefined;
  const earlier = timeShift ? parseDuration(timeShift) : undefined;
  if (width === undefined && earlier === undefined) return undefined;
  const from = width === undefined ? range.from : range.to - width;
  const text = [...(width === undefined ? [] : [`Last ${timeFrom!.replace(/^now-/, '')}`]), ...(earlier === undefined ? [] : [`${timeShift} earlier`])];
  return { range: { from: from - (earlier ?? 0), to: range.to - (earlier ?? 0) }, text: text.join(', ') };
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

async function askInfluxql({ q, database, policy, ...shape }: PlannedQuery, signal?: AbortSignal): Promise<Answered> {
  const answer = await influxQuery({ q, db: database, rp: policy }, signal).catch(emptyIfMissing({ results: [] }));
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
