/** Labels of the axes: 24-hour clock, the date where the day changes, units on the values. */
import { formatValue, isBinaryUnit } from '../format/units';

const two = (value: number) => String(value).padStart(2, '0');
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A second line carries the date at the first label and wherever the day changes. */
export function timeTicks(splits: readonly number[], incrementMs: number): string[] {
  let lastDay = '';
  return splits.map((split) => {
    const date = new Date(split);
    const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    if (incrementMs >= DAY_MS) return day;
    const seconds = incrementMs < MINUTE_MS ? `:${two(date.getSeconds())}` : '';
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}${seconds}`;
    const label = lastDay !== '' && day !== lastDay ? `${clock}\n${day}` : clock;
    lastDay = day;
    return label;
  });
}

/** The height of the axis below a chart: a date takes a second line. */
export function timeAxisPixels(labels: readonly string[] | null): number {
  return labels?.some((label) => label.includes('\n')) ? 40 : 26;
}

/** As many digits as the steps need. `mirrored` axes count up in both directions: above in, below out. */
export function valueTicks(splits: readonly number[], unit: string | undefined, mirrored: boolean): string[] {
  return splits.map((split) => (split === 0 ? '0' : formatValue(mirrored ? Math.abs(clean(split)) : clean(split), unit)));
}

/** 0.30000000000000004 and its kind come from adding up increments. */
function clean(value: number): number {
  return Number(value.toPrecision(12));
}

const POWERS_OF_TWO = Array.from({ length: 90 }, (_, n) => 2 ** (n - 20));

/** Steps of seconds that people count in: minutes, hours, days, and their round multiples. */
const SECONDS = [
  1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200,
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000].map((days) => days * 86_400),
]; // prettier-ignore

/** Steps between labels where the usual 1, 2, 5 would give crooked ones: bytes, and durations in seconds. */
export function valueIncrements(unit: string | undefined): number[] | undefined {
  if (isBinaryUnit(unit)) return POWERS_OF_TWO;
  return unit === 'dtdurations' || unit === 'dthms' || unit === 'dtdhms' ? SECONDS : undefined;
}
