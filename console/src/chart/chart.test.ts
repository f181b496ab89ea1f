import { describe, expect, test } from 'vitest';
import { align } from './align';
import { findGaps, gapLimit, isolated, pace } from './gaps';
import type { ChartSeries } from './series';
import { areasOf, placeOf, type Threshold } from './thresholds';
import { timeAxisPixels, timeTicks, valueTicks } from './ticks';
import { clickLegend, NONE_HIDDEN } from './visibility';

function series(times: number[], values: (number | null)[], extra: Partial<ChartSeries> = {}): ChartSeries {
  return {
    key: 'k', name: 'n', color: '#000', times, values, negative: false, drawStyle: 'line', interpolation: 'linear', lineWidth: 1,
    fillOpacity: 0, showPoints: 'auto', axis: 'left', format: String, ...extra,
  }; // prettier-ignore
}

describe('aligning', () => {
  test('equal times are not copied', () => {
    const times = [1, 2];
    const values = [10, 20];
    const aligned = align([series(times, values), series([1, 2], [1, 2])]);
    expect(aligned.times).toBe(times);
    expect(aligned.drawn[0]).toBe(values);
  });
  test('different times are united', () => {
    expect(align([series([1, 3], [10, 30]), series([2, 3], [5, 6])])).toMatchObject({ times: [1, 2, 3], drawn: [[10, null, 30], [null, 5, 6]] });
  });
  test('stacks add up, holes stay holes', () => {
    const stack = { stack: 'A' };
    const { drawn, actual } = align([series([1, 2], [10, null], stack), series([1, 2], [5, 6], stack), series([1, 2], [1, 1])]);
    expect(drawn).toEqual([[10, null], [15, 6], [1, 1]]); // prettier-ignore
    expect(actual[1]).toEqual([5, 6]);
  });
  test('stacks of percent fill up to 100', () => {
    const stack = { stack: 'A', percent: true };
    expect(align([series([1], [1], stack), series([1], [3], stack)]).drawn).toEqual([[25], [100]]);
  });
  test('what is drawn downwards keeps its value for the reader', () => {
    expect(align([series([1], [5], { negative: true })])).toMatchObject({ drawn: [[-5]], actual: [[5]] });
  });
  test('nothing', () => expect(align([])).toEqual({ times: [], drawn: [], actual: [] }));

  test('100,000 points in 20 series of odd times take less than a second', () => {
    const many = Array.from({ length: 20 }, (_, s) => {
      const times = Array.from({ length: 5_000 }, (_, i) => i * 1_000 + s);
      return series(times, times.map((time) => time % 97));
    }); // prettier-ignore
    const started = performance.now();
    expect(align(many).times).toHaveLength(100_000);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('gaps', () => {
  const times = [0, 10, 20, 30, 90, 100, 110, 200];
  const values = [1, 1, null, 1, 1, 1, 1, 1];
  test('the pace is that of most steps', () => expect(pace(times, values)).toBe(20));
  test('a lost point is bridged, an outage is not', () => {
    expect(findGaps(times, values, gapLimit(undefined, 10), 0, 7)).toEqual([[3, 4], [6, 7]]); // prettier-ignore
  });
  test('as told', () => {
    expect(findGaps(times, values, gapLimit(true, 10), 0, 7)).toEqual([]);
    expect(findGaps(times, values, gapLimit(15, 10), 0, 7)).toEqual([[1, 3], [3, 4], [6, 7]]); // prettier-ignore
  });
  test('points without neighbours', () => {
    expect(isolated(times, values, 35)).toEqual([7]);
    expect(isolated([5], [1], 35)).toEqual([0]);
    expect(isolated([], [], 35)).toEqual([]);
  });
});

describe('ticks', () => {
  const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();
  test('the date shows where the day changes', () => {
    expect(timeTicks([at(22, 20), at(22, 22), at(23, 0), at(23, 2)], 7_200_000)).toEqual(['20:00', '22:00', '00:00\n11-23', '02:00']);
    expect(timeTicks([at(22, 20)], 10_000)).toEqual(['20:00:00']);
    expect(timeTicks([at(22, 0), at(23, 0)], 86_400_000)).toEqual(['11-22', '11-23']);
  });
  test('and has room there', () => expect([['22:00', '00:00\n11-23'], ['22:00'], null].map(timeAxisPixels)).toEqual([40, 26, 26])); // prettier-ignore
  test('values with their unit, both ways up on mirrored axes', () => {
    expect(valueTicks([0, 0.1 + 0.2, 25], 'percent', false)).toEqual(['0', '0.3%', '25%']);
    expect(valueTicks([-1024, 0, 1024], 'bytes', true)).toEqual(['1 KiB', '0', '1 KiB']);
  });
});

describe('legend', () => {
  const all = ['a', 'b', 'c'];
  test('a click isolates, another brings all back', () => {
    const only = clickLegend(NONE_HIDDEN, 'a', all, false);
    expect([...only]).toEqual(['b', 'c']);
    expect([...clickLegend(only, 'b', all, false)]).toEqual(['a', 'c']);
    expect(clickLegend(only, 'a', all, false)).toBe(NONE_HIDDEN);
  });
  test('ctrl-click hides one or shows it again; hiding the last shows all', () => {
    expect([...clickLegend(NONE_HIDDEN, 'a', all, true)]).toEqual(['a']);
    expect([...clickLegend(new Set(['a']), 'a', all, true)]).toEqual([]);
    expect(clickLegend(new Set(['a', 'b']), 'c', all, true)).toBe(NONE_HIDDEN);
  });
});

describe('thresholds', () => {
  const axis = { min: 0, max: 200 };
  const step = (value: number | null, color: string, extra: Partial<Threshold> = {}): Threshold => ({ value, color, line: true, dashed: false, area: true, ...extra });

  test('of percent lie between min and max, or the ends of the axis', () => {
    expect(placeOf(step(80, 'x'), axis)).toBe(80);
    expect(placeOf(step(80, 'x', { between: { min: 50, max: 100 } }), axis)).toBe(90);
    expect(placeOf(step(25, 'x', { between: { min: null } }), axis)).toBe(50);
  });
  test('fill the axis from each to the next', () => {
    const areas = areasOf([step(null, 'transparent'), step(50, '#ff0000'), step(100, '#00ff00')], axis);
    expect(areas).toEqual([{ from: 50, to: 100, color: 'rgba(255,0,0,0.12)' }, { from: 100, to: 200, color: 'rgba(0,255,0,0.12)' }]); // prettier-ignore
    expect(areasOf([step(300, '#ff0000'), step(0, '#ff0000', { area: false })], axis)).toEqual([]);
  });
});
