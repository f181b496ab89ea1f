import { describe, expect, test } from 'vitest';
import { ago, humanDuration, influxDuration, parseDuration } from './duration';
import { bucketMs } from './interval';
import { foreignZone } from './zone';
import { describeRange, isRelative, localDateTime, QUICK_RANGES, resolveRange, resolveTime, whyNoRange } from './range';

const NOW = new Date(2026, 10, 22, 19, 30, 15, 500).getTime();

describe('durations', () => {
  test.each([
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['2w', 1_209_600_000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '10', 's', '5x', '10s x', '10s 5'])('"%s" is none', (text) => expect(parseDuration(text)).toBeUndefined());

  test.each([
    [10_000, '10s'],
    [90_000, '90s'],
    [120_000, '2m'],
    [86_400_000, '1d'],
    [1_500, '1500ms'],
  ])('InfluxQL writes %d ms as %s', (ms, text) => {
    expect(influxDuration(ms)).toBe(text);
    expect(parseDuration(text)).toBe(ms);
  });

  test('people read two units', () => {
    expect(humanDuration(3 * 86_400_000 + 4 * 3_600_000 + 5_000)).toBe('3d 4h');
    expect(humanDuration(3_600_000)).toBe('1h');
    expect(humanDuration(45_000)).toBe('45s');
    expect(humanDuration(12)).toBe('12ms');
    expect(humanDuration(-90_000)).toBe('-1m 30s');
  });

  test('ago', () => {
    expect(ago(NOW - 12_000, NOW)).toBe('12s ago');
    expect(ago(NOW, NOW)).toBe('just now');
    expect(ago(NOW + 300_000, NOW)).toBe('in 5m');
  });
});

describe('bucket width', () => {
  test('has at most so many buckets, of a round width', () => {
    expect(bucketMs(3_600_000, 300)).toBe(20_000);
    expect(bucketMs(6 * 3_600_000, 350)).toBe(120_000);
    expect(bucketMs(30 * 86_400_000, 350)).toBe(10_800_000);
  });
  test('is never below the agents’ interval, nor below the panel’s own', () => {
    expect(bucketMs(300_000, 1_000)).toBe(10_000);
    expect(bucketMs(300_000, 1_000, 60_000)).toBe(60_000);
    expect(bucketMs(60_000, 600, 1)).toBe(100);
  });
  test('is a multiple of the agents’ interval, so that every bucket holds as many points', () => {
    for (const { range } of QUICK_RANGES) {
      const { from, to } = resolveRange(range, NOW)!;
      for (const points of [100, 250, 350, 700]) expect(bucketMs(to - from, points) % 10_000).toBe(0);
    }
  });
});

describe('time in words', () => {
  test('relative', () => {
    expect(resolveTime('now', NOW)).toBe(NOW);
    expect(resolveTime('now-6h', NOW)).toBe(NOW - 6 * 3_600_000);
    expect(resolveTime('now-1d+2h', NOW)).toBe(NOW - 22 * 3_600_000);
  });
  test('rounded to a unit, down or up', () => {
    expect(resolveTime('now/d', NOW)).toBe(new Date(2026, 10, 22).getTime());
    expect(resolveTime('now/d', NOW, true)).toBe(new Date(2026, 10, 23).getTime() - 1);
    // 22 November 2026 is a Sunday; weeks begin on Monday.
    expect(resolveTime('now/w', NOW)).toBe(new Date(2026, 10, 16).getTime());
    expect(resolveTime('now-1M/M', NOW)).toBe(new Date(2026, 9, 1).getTime());
  });
  test('months are those of the calendar', () => {
    const march = new Date(2026, 2, 31, 12).getTime();
    expect(resolveTime('now-1M/M', march)).toBe(new Date(2026, 1, 1).getTime());
    expect(resolveTime('now-1M/M', march, true)).toBe(new Date(2026, 2, 1).getTime() - 1);
    expect(resolveTime('now-1M', march)).toBe(new Date(2026, 1, 28, 12).getTime());
    expect(resolveTime('now-1y', new Date(2028, 1, 29).getTime())).toBe(new Date(2027, 1, 28).getTime());
    expect(resolveTime('now-1d/d', march)).toBe(new Date(2026, 2, 30).getTime());
  });
  test('absolute', () => {
    expect(resolveTime('1795375815000', NOW)).toBe(1_795_375_815_000);
    expect(resolveTime('2026-11-22T10:00:00Z', NOW)).toBe(Date.UTC(2026, 10, 22, 10));
    expect(resolveTime(localDateTime(NOW), NOW)).toBe(NOW - 500);
  });
  test.each(['', 'yesterday', 'now-', 'now-5', 'now/x', '12:30'])('"%s" is no time', (text) =>
    expect(resolveTime(text, NOW)).toBeUndefined(),
  );
  test('a range must not be empty', () => {
    expect(resolveRange({ from: 'now-1h', to: 'now' }, NOW)).toEqual({ from: NOW - 3_600_000, to: NOW });
    expect(resolveRange({ from: 'now', to: 'now-1h' }, NOW)).toBeUndefined();
    expect(resolveRange({ from: 'now/d', to: 'now/d' }, NOW)).toBeDefined();
  });
  test('what cannot be read is named', () => {
    expect(whyNoRange({ from: 'now-1q', to: 'now' }, NOW)).toBe('“now-1q” is no time that the console can read');
    expect(whyNoRange({ from: 'now', to: 'now-1h' }, NOW)).toContain('ends before it begins');
  });
  test('only ranges that end now move', () => {
    expect(isRelative({ from: 'now-1h', to: 'now' })).toBe(true);
    expect(isRelative({ from: '1795375815000', to: '1795379415000' })).toBe(false);
  });
  test('every range that is offered can be read', () => {
    for (const { range } of QUICK_RANGES) expect(resolveRange(range, NOW)).toBeDefined();
  });
  test('descriptions', () => {
    expect(describeRange({ from: 'now-1h', to: 'now' }, NOW)).toBe('Last hour');
    expect(describeRange({ from: 'now-90m', to: 'now' }, NOW)).toBe('Last 90m');
    const at = (hour: number) => String(new Date(2026, 10, 22, hour).getTime());
    expect(describeRange({ from: at(10), to: at(11) }, NOW)).toBe('10:00:00 – 11:00:00');
  });
});

test('a dashboard’s zone is told where it is another', () => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  expect([undefined, '', 'browser', own].map((zone) => foreignZone(zone, NOW))).toEqual(Array(4).fill(undefined));
  const other = own.includes('Kiritimati') ? 'Asia/Tokyo' : 'Pacific/Kiritimati';
  expect(foreignZone(other, NOW)).toBe(other);
  expect(foreignZone('no such zone', NOW)).toBe('no such zone');
});
