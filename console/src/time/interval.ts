/** The width of a time bucket: the range over the points that fit, rounded to a width that people use. */

/** Agents send a point each 10 s by default; narrower buckets would be empty in between. */
export const SCRAPE_INTERVAL_MS = 10_000;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Each width divides the next larger unit, so that bucket bounds fall on round clock times. Above 10 s all are multiples of
 * it: a bucket of 15 s would hold one point and two in turn, and rates would zigzag.
 */
const NICE = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
]; // prettier-ignore

/** The narrowest nice bucket with which the range has at most `maxDataPoints`, never below `minMs`. */
export function bucketMs(rangeMs: number, maxDataPoints: number, minMs = SCRAPE_INTERVAL_MS): number {
  const exact = Math.max(1, rangeMs) / Math.max(1, maxDataPoints);
  const nice = NICE.find((width) => width >= exact) ?? NICE[NICE.length - 1]!;
  return Math.max(nice, minMs);
}
