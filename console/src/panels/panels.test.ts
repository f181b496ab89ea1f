import { describe, expect, test } from 'vitest';
import { type Frame, makeField } from '../data/frame';
import { reduced } from './reduceOptions';
import { toChart } from './timeSeries';

function frame(host: string, values: (number | null)[], column = 'mean', refId = 'A'): Frame {
  const labels = { host };
  return { refId, name: 'cpu', fields: [makeField('time', [1, 2], { type: 'time', labels }), makeField(column, values, { type: 'number', labels })] };
}

describe('time series', () => {
  test('are sorted by name, so that colours stay while data comes and goes', () => {
    const { series } = toChart([frame('b', [1, 2]), frame('a', [3, 4])], {}, 'light');
    expect(series.map(({ name, key }) => [name, key])).toEqual([['a', 'A/a'], ['b', 'A/b']]); // prettier-ignore
    const again = toChart([frame('a', [3, 4]), frame('b', [1, 2])], {}, 'light').series;
    expect(again.map(({ color }) => color)).toEqual(series.map(({ color }) => color));
  });
  test('columns of a query keep its order', () => {
    const { series } = toChart([frame('a', [1, 2], 'used'), frame('a', [1, 2], 'free')], {}, 'light');
    expect(series.map(({ name }) => name)).toEqual(['used', 'free']);
  });
  test('both directions of a mirrored chart share the host’s colour', () => {
    const source = { overrides: [{ matcher: { id: 'byRegexp', options: '/sent$/' }, properties: [{ id: 'custom.transform', value: 'negative-Y' }] }] };
    const { series } = toChart([frame('a', [1, 2], 'received'), frame('a', [1, 2], 'sent'), frame('b', [1, 2], 'received'), frame('b', [1, 2], 'sent')], source, 'light');
    const colors = Object.fromEntries(series.map(({ name, color }) => [name, color]));
    expect(colors['a · sent']).toBe(colors['a · received']);
    expect(colors['b · sent']).not.toBe(colors['a · sent']);
    expect(series.map(({ negative }) => negative).filter(Boolean)).toHaveLength(2);
  });
  test('equal names get keys of their own', () => {
    const twice = [frame('a', [1, 2]), frame('a', [3, 4])];
    const keys = toChart(twice, { defaults: { displayName: 'same' } }, 'light').series.map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
  });
  test('a light fill is for a single line', () => {
    const source = { defaults: { custom: { fillOpacity: 8 } } };
    expect(toChart([frame('a', [1, 2])], source, 'light').series[0]!.fillOpacity).toBe(0.08);
    expect(toChart([frame('a', [1, 2]), frame('b', [1, 2])], source, 'light').series[0]!.fillOpacity).toBe(0);
  });
  test('threshold lines', () => {
    const source = { defaults: { custom: { thresholdsStyle: { mode: 'dashed' } }, thresholds: { steps: [{ color: 'green', value: null }, { color: '#f00', value: 80 }] } } };
    expect(toChart([], source, 'light').thresholds).toEqual([{ value: 80, color: '#f00', dashed: true }]);
  });
});

describe('single numbers', () => {
  test('the last value of each series', () => {
    expect(reduced([frame('a', [1, null]), frame('b', [3, 4])], undefined, {}).map(({ name, value }) => [name, value])).toEqual([['a', 1], ['b', 4]]); // prettier-ignore
  });
  test('counting rows works on text', () => {
    const table: Frame = { refId: 'A', name: 'm', fields: [makeField('time', [1, 2], { type: 'time' }), makeField('host', ['a', 'b'])] };
    expect(reduced([table], { calcs: ['count'], fields: 'host' }, {})[0]!.value).toBe(2);
    expect(reduced([table], { calcs: ['count'] }, {})[0]!.value).toBe(2);
  });
});
