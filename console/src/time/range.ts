/**
 * Time ranges as Grafana writes them: `now-6h` to `now`, `now/d` for the start of today, or instants.
 * A range stays in words until it is used, so that a refresh moves it along.
 */
import { parseDuration } from './duration';

/** As written: relative (`now-6h`), milliseconds since 1970 in digits, or an ISO date. */
export interface RawRange {
  from: string;
  to: string;
}

/** As used: milliseconds since 1970. */
export interface TimeRange {
  from: number;
  to: number;
}

type RoundingUnit = 's' | 'm' | 'h' | 'd' | 'w' | 'M' | 'y';

const RELATIVE = /^now((?:[+-]\d+(?:ms|[smhdwMy]))*)(?:\/([smhdwMy]))?$/;

/** The instant that the text means at `now`; `roundUp` takes the end of the unit in `now/d`. */
export function resolveTime(text: string, now: number, roundUp = false): number | undefined {
  const trimmed = text.trim();
  const relative = RELATIVE.exec(trimmed);
  if (relative) {
    const shifted = shift(now, relative[1] ?? '');
    const unit = relative[2] as RoundingUnit | undefined;
    return unit ? round(shifted, unit, roundUp) : shifted;
  }
  if (/^\d{9,}$/.test(trimmed)) return Number(trimmed);
  const parsed = /^\d{4}-\d{2}/.test(trimmed) ? Date.parse(trimmed.replace(' ', 'T')) : NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** Both ends, or `undefined` when one is unreadable or the range is empty. */
export function resolveRange(raw: RawRange, now: number): TimeRange | undefined {
  const from = resolveTime(raw.from, now);
  const to = resolveTime(raw.to, now, true);
  return from !== undefined && to !== undefined && from < to ? { from, to } : undefined;
}

/** What is wrong with a range that cannot be used. */
export function whyNoRange(raw: RawRange, now: number): string {
  const unread = [raw.from, raw.to].filter((text) => resolveTime(text, now) === undefined);
  if (unread.length > 0) return `${unread.map((text) => `“${text}”`).join(' and ')} is no time that the console can read`;
  return `The range from “${raw.from}” to “${raw.to}” ends before it begins`;
}

/** Whether the range moves with the clock. */
export function isRelative(raw: RawRange): boolean {
  return raw.to.trim().startsWith('now');
}

/** Days and longer go by the calendar: a day has 23 hours where the clock is put forward, a month before 31 March ends with February. */
function shift(now: number, steps: string): number {
  let time = now;
  for (const [, sign, digits, unit] of steps.matchAll(/([+-])(\d+)(ms|[smhdwMy])/g)) {
    const amount = Number(digits) * (sign === '-' ? -1 : 1);
    const date = new Date(time);
    switch (unit) {
      case 'd': time = date.setDate(date.getDate() + amount); break;
      case 'w': time = date.setDate(date.getDate() + 7 * amount); break;
      case 'M': time = addMonths(date, amount); break;
      case 'y': time = addMonths(date, 12 * amount); break;
      default: time += (sign === '-' ? -1 : 1) * (parseDuration(`${digits}${unit}`) ?? 0);
    }
  }
  return time;
}

/** The same day of another month, or its last one where there is none. */
function addMonths(date: Date, months: number): number {
  const day = date.getDate();
  const moved = new Date(date);
  moved.setDate(1);
  moved.setMonth(moved.getMonth() + months);
  const last = new Date(moved.getFullYear(), moved.getMonth() + 1, 0).getDate();
  return moved.setDate(Math.min(day, last));
}

/** Start (or last millisecond) of the unit around the instant, in the browser's time zone. Weeks start on Monday. */
function round(time: number, unit: RoundingUnit, up: boolean): number {
  const date = new Date(time);
  const start = startOf(date, unit);
  if (!up) return start.getTime();
  const next = new Date(start);
  switch (unit) {
    case 's': next.setSeconds(next.getSeconds() + 1); break;
    case 'm': next.setMinutes(next.getMinutes() + 1); break;
    case 'h': next.setHours(next.getHours() + 1); break;
    case 'd': next.setDate(next.getDate() + 1); break;
    case 'w': next.setDate(next.getDate() + 7); break;
    case 'M': next.setMonth(next.getMonth() + 1); break;
    case 'y': next.setFullYear(next.getFullYear() + 1); break;
  }
  return next.getTime() - 1;
}

function startOf(date: Date, unit: RoundingUnit): Date {
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  switch (unit) {
    case 's': return new Date(year, month, day, date.getHours(), date.getMinutes(), date.getSeconds());
    case 'm': return new Date(year, month, day, date.getHours(), date.getMinutes());
    case 'h': return new Date(year, month, day, date.getHours());
    case 'd': return new Date(year, month, day);
    case 'w': return new Date(year, month, day - ((date.getDay() + 6) % 7));
    case 'M': return new Date(year, month);
    case 'y': return new Date(year, 0);
  }
}

/** The ranges offered with one click. */
export const QUICK_RANGES: readonly { label: string; range: RawRange }[] = [
  { label: 'Last 5 minutes', range: { from: 'now-5m', to: 'now' } },
  { label: 'Last 15 minutes', range: { from: 'now-15m', to: 'now' } },
  { label: 'Last 30 minutes', range: { from: 'now-30m', to: 'now' } },
  { label: 'Last hour', range: { from: 'now-1h', to: 'now' } },
  { label: 'Last 3 hours', range: { from: 'now-3h', to: 'now' } },
  { label: 'Last 6 hours', range: { from: 'now-6h', to: 'now' } },
  { label: 'Last 12 hours', range: { from: 'now-12h', to: 'now' } },
  { label: 'Last 24 hours', range: { from: 'now-24h', to: 'now' } },
  { label: 'Last 2 days', range: { from: 'now-2d', to: 'now' } },
  { label: 'Last 7 days', range: { from: 'now-7d', to: 'now' } },
  { label: 'Last 30 days', range: { from: 'now-30d', to: 'now' } },
  { label: 'Today', range: { from: 'now/d', to: 'now/d' } },
];

/** What the range is called on its button. */
export function describeRange(raw: RawRange, now: number): string {
  const quick = QUICK_RANGES.find(({ range }) => range.from === raw.from && range.to === raw.to);
  if (quick) return quick.label;
  const simple = /^now-(\d+(?:ms|[smhdwMy]))$/.exec(raw.from);
  if (simple && raw.to === 'now') return `Last ${simple[1]}`;
  const range = resolveRange(raw, now);
  if (!range) return `${raw.from} to ${raw.to}`;
  return `${shortTime(range.from, now)} – ${shortTime(range.to, range.from)}`;
}

/** Date and time without what `near` already says (its year, its day). */
function shortTime(time: number, near: number): string {
  const [date, other] = [new Date(time), new Date(near)];
  const clock = localDateTime(time).slice(11);
  if (date.toDateString() === other.toDateString()) return clock;
  const day = localDateTime(time).slice(date.getFullYear() === other.getFullYear() ? 5 : 0, 10);
  return `${day} ${clock}`;
}

/** `2026-11-22 19:30:00`, browser time: readable, sortable, and accepted back by `resolveTime`. */
export function localDateTime(time: number): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  );
}
