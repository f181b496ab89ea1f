/**
 * `rate`: what a counter grew by, for each second. Skywatch's own transformation, so that dashboards need no
 * `non_negative_derivative()` of the server: query `max("bytes_recv")` by time and let the panel take the rate.
 *
 * ```json
 * { "id": "rate", "options": { "scale": 8, "fields": "^bytes_" } }
 * ```
 * - `scale` multiplies the result (8: bytes to bits; 1e-7: CPU nanoseconds to percent of one core). Default 1.
 * - `fields` is a regular expression of the columns concerned. Default: every column of numbers.
 *
 * A counter that went back (a reboot, a migration) gives no value there, never a negative one. A bucket that is still
 * filling gives no value either, unless buckets are no wider than the agents' interval.
 */
import { SCRAPE_INTERVAL_MS } from '../../time/interval';
import { type Cell, type Field, type Frame, timeField } from '../frame';

export interface RateOptions {
  scale?: number;
  fields?: string;
}

/** What is known of the query that gave the frames. */
export interface Buckets {
  /** Width of a bucket, in milliseconds. */
  intervalMs: number;
  /** End of the range asked for: data after it has not been counted yet. */
  toMs: number;
}

/** Across a longer gap the mean growth would hide what happened. */
const GAP_BUCKETS_MAX = 5;
const GAP_MS_MIN = 60_000;

export function rate(frame: Frame, options: RateOptions, buckets: Buckets): Frame {
  const time = timeField(frame);
  if (!time) return frame;
  const wanted = options.fields ? new RegExp(options.fields) : undefined;
  const concerned = (field: Field) => field.type === 'number' && (wanted?.test(field.name) ?? true);
  return {
    ...frame,
    fields: frame.fields.map((field) =>
      concerned(field)
        ? { ...field, values: growth(time.values, field.values, options.scale ?? 1, buckets) }
        : field,
    ),
  };
}

function growth(times: readonly Cell[], values: readonly Cell[], scale: number, buckets: Buckets): Cell[] {
  const gapMax = Math.max(GAP_BUCKETS_MAX * buckets.intervalMs, GAP_MS_MIN);
  const rates: Cell[] = new Array(values.length).fill(null);
  let before = -1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number') continue;
    if (before >= 0) {
      const elapsed = (times[i] as number) - (times[before] as number);
      const grown = value - (values[before] as number);
      if (grown >= 0 && elapsed > 0 && elapsed <= gapMax) rates[i] = ((grown * 1000) / elapsed) * scale;
    }
    before = i;
  }
  if (before >= 0 && isFilling(times[before] as number, buckets)) rates[before] = null;
  return rates;
}

function isFilling(bucketStart: number, { intervalMs, toMs }: Buckets): boolean {
  return intervalMs > SCRAPE_INTERVAL_MS && bucketStart + intervalMs > toMs;
}
