/** From frames to the bars of a state timeline: which state each series was in, and from when to when. */
import { gapLimit, pace } from '../chart/gaps';
import { ascending } from '../chart/series';
import { display, rangeOf } from '../dashboard/display';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import type { FieldConfigSource } from '../dashboard/model';
import { type Cell, type FieldType, type Frame, timeField } from '../data/frame';
import { nameSeries } from '../data/names';
import { resolveColor, type Scheme, seriesColor } from '../theme/colors';
import type { TimeRange } from '../time/range';

/** A state from one time until another, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
  text: string;
  color: string;
}

export interface StateRow {
  key: string;
  name: string;
  spans: Span[];
}

const STATES: readonly FieldType[] = ['number', 'boolean', 'string'];

export function stateRows(frames: readonly Frame[], source: FieldConfigSource | undefined, range: TimeRange, scheme: Scheme, merge: boolean): StateRow[] {
  const series = nameSeries(frames.filter((frame) => timeField(frame)), STATES);
  const around = { range: rangeOf(series.map(({ field }) => field.values)) };
  const colors = new Map<string, string>();
  const rows = series.map(({ frame, field, name }, i): StateRow => {
    const config = resolveFieldConfig(source, { name, field, refId: frame.refId });
    const state = (cell: Cell): Pick<Span, 'text' | 'color'> => {
      const { prefix, text, suffix, color } = display(cell, config, around);
      const shown = prefix + text + suffix;
      // What the dashboard gives no colour has one of its own, the same on every row.
      if (!color && !colors.has(shown)) colors.set(shown, seriesColor(colors.size, scheme));
      return { text: shown, color: color ? resolveColor(color, scheme) : colors.get(shown)! };
    };
    const [times, cells] = ascending(timeField(frame)!.values as number[], field.values);
    const spans = spansOf(times, cells, { spanNulls: config.custom?.spanNulls, end: range.to, merge, state });
    return { key: `${i}/${name}`, name: config.displayName ?? name, spans: spans.filter(({ to }) => to > range.from) };
  });
  return rows.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

interface SpanOptions {
  spanNulls: boolean | number | undefined;
  end: number;
  merge: boolean;
  state(cell: Cell): Pick<Span, 'text' | 'color'>;
}

/** A state lasts until the next point, or until that is overdue: what fell silent is in no state. */
function spansOf(times: readonly number[], cells: readonly Cell[], { spanNulls, end, merge, state }: SpanOptions): Span[] {
  const points = times.flatMap((time, i) => (cells[i] === null || cells[i] === undefined ? [] : [{ time, cell: cells[i] }]));
  const step = pace(points.map(({ time }) => time), points.map(() => 0));
  const limit = gapLimit(spanNulls, step || Infinity);
  const spans: Span[] = [];
  points.forEach(({ time, cell }, i) => {
    const next = points[i + 1]?.time ?? end;
    const to = Math.min(end, next - time > limit ? time + step : next);
    const now = state(cell);
    const last = spans.at(-1);
    if (merge && last && last.to === time && last.text === now.text && last.color === now.color) last.to = to;
    else if (to > time) spans.push({ from: time, to, ...now });
  });
  return spans;
}

const MINUTE_MS = 60_000;
const STEPS_MS = [1 / 60, 1 / 12, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080, 43_200].map((minutes) => minutes * MINUTE_MS);

/** Round times of the clock for labels, `most` of them at most, and the step between them. */
export function roundTimes({ from, to }: TimeRange, most: number): { times: number[]; stepMs: number } {
  const stepMs = STEPS_MS.find((step) => (to - from) / step <= most) ?? (to - from) / Math.max(1, most);
  const zone = new Date(from).getTimezoneOffset() * MINUTE_MS;
  const times = [];
  for (let time = Math.ceil((from - zone) / stepMs) * stepMs + zone; time <= to; time += stepMs) times.push(time);
  return { times, stepMs };
}
