import { describe, expect, test } from 'vitest';
import { type Frame, makeField } from '../data/frame';
import { display } from '../dashboard/display';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import { resolveColor } from '../theme/colors';
import { reduced } from './reduceOptions';
import { joinByField } from '../data/transform/tables';
import { toFrames } from '../data/influx';
import { shownTexts, tileColumns } from './StatPanel';
import { localDateTime } from '../time/range';
import { columnsOf, frameTitle } from './TablePanel';
import { toChart } from './timeSeries';

function frame(host: string, values: (number | null)[], column = 'mean', refId = 'A'): Frame {
  const labels = { host };
  return { refId, name: 'cpu', fields: [makeField('time', [1, 2, 3].slice(0, values.length), { type: 'time', labels }), makeField(column, values, { type: 'number', labels })] };
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
    expect(toChart([], source, 'light').thresholds).toMatchObject([{ value: null, line: true }, { value: 80, color: '#f00', dashed: true, area: false }]);
  });
  test('a line may have the colour of its last value', () => {
    const steps = [{ color: '#00ff00', value: null }, { color: '#ff0000', value: 80 }];
    const color = (mode: string, seriesBy?: string) => toChart([frame('a', [90, 0, 100])], { defaults: { color: { mode, ...(seriesBy ? { seriesBy } : {}) }, thresholds: { steps } } }, 'light').series[0]!.color;
    expect(color('thresholds')).toBe('#ff0000');
    expect(color('thresholds', 'min')).toBe('#00ff00');
    expect(color('continuous-YlRd')).toBe(resolveColor('dark-red', 'light'));
  });
});

describe('single numbers', () => {
  test('what stands on a tile', () => {
    expect(['auto', undefined, 'value', 'name', 'value_and_name', 'none'].map((mode) => Object.values(shownTexts(mode, 2)))).toEqual([
      [true, true], [true, true], [false, true], [true, false], [true, true], [false, false],
    ]); // prettier-ignore
    expect(shownTexts('auto', 1)).toEqual({ name: false, value: true });
  });
  test('are called as the dashboard says', () => {
    const source = { defaults: { displayName: '${__field.labels.host} of ${__field.name}, ${__field.labels["host"]}' } };
    expect(reduced([frame('a', [1])], undefined, source)[0]!.name).toBe('a of mean, a');
    expect(resolveFieldConfig(source, { name: 'x', field: { name: 'n', type: 'number', labels: { host: 'h' } }, refId: 'A' }).displayName).toBe('h of n, h');
  });
  test('have the colours of a palette or of a scale between the least and the largest', () => {
    const colors = (mode: string) => reduced([frame('a', [0]), frame('b', [50]), frame('c', [100])], undefined, { defaults: { color: { mode } } }).map(({ value, config, around }) => display(value, config, around).color);
    expect(colors('palette-classic')).toEqual(['palette-0', 'palette-1', 'palette-2']);
    expect(colors('continuous-GrYlRd')).toEqual(['continuous-GrYlRd:0.000', 'continuous-GrYlRd:0.500', 'continuous-GrYlRd:1.000']);
    expect(colors('continuous-GrYlRd').map((color) => resolveColor(color!, 'light'))).toEqual(['green', 'yellow', 'red'].map((color) => resolveColor(color, 'light')));
    expect(resolveColor('continuous-viridis:0.125', 'dark')).toMatch(/^#[0-9a-f]{6}$/);
  });
  test('steps of percent lie between the least and the largest where the panel sets neither', () => {
    const thresholds = { mode: 'percentage', steps: [{ color: 'green', value: null }, { color: 'red', value: 50 }] };
    const found = reduced([frame('a', [1000]), frame('b', [1100]), frame('c', [1200])], undefined, { defaults: { thresholds } });
    expect(found.map(({ value, config, around }) => display(value, config, around).color)).toEqual(['green', 'red', 'red']);
  });
  test('the last value of each series', () => {
    expect(reduced([frame('a', [1, null]), frame('b', [3, 4])], undefined, {}).map(({ name, value }) => [name, value])).toEqual([['a', 1], ['b', 4]]); // prettier-ignore
  });
  test('a time among them is a date, whatever the unit of the values', () => {
    const table: Frame = { refId: 'A', name: 'm', fields: [makeField('Time', [1_796_088_347_000], { type: 'time' }), makeField('last', ['degraded'])] };
    const [time] = reduced([table], { fields: '/.*/' }, { defaults: { unit: 'percent' } });
    expect(display(time!.value, time!.config).text).toBe(localDateTime(1_796_088_347_000));
    expect(columnsOf(table, { defaults: { unit: 'percent' } })[0]!.config.unit).toBeUndefined();
    expect(columnsOf(table, { defaults: { unit: 'time:YYYY' } })[0]!.config.unit).toBe('time:YYYY');
  });
  test.each([
    ['one', 1, 300, 100, 1], ['wide', 4, 800, 60, 4], ['tall', 4, 120, 400, 1], ['square', 4, 240, 110, 2], ['too many', 50, 300, 100, 4],
  ])('tiles have the most room each: %s', (_, tiles, width, height, columns) => expect(tileColumns(tiles, width, height)).toBe(columns)); // prettier-ignore
  test('counting rows works on text', () => {
    const table: Frame = { refId: 'A', name: 'm', fields: [makeField('time', [1, 2], { type: 'time' }), makeField('host', ['a', 'b'])] };
    expect(reduced([table], { calcs: ['count'], fields: 'host' }, {})[0]!.value).toBe(2);
    expect(reduced([table], { calcs: ['count'] }, {})[0]!.value).toBe(2);
  });
});

describe('tables', () => {
  const frames = toFrames(['a', 'b'].map((host) => ({ name: 'cpu', tags: { host }, columns: ['time', 'mean'], values: [[1, 1]] })), { refId: 'A', format: 'time_series' });

  test('leave out hidden columns', () => {
    const hide = (id: string, value: unknown) => [{ matcher: { id: 'byName', options: 'Time' }, properties: [{ id, value }] }];
    for (const overrides of [hide('custom.hidden', true), hide('custom.hideFrom', { viz: true })]) {
      expect(columnsOf(frames[0]!, { overrides }).map(({ title }) => title)).toEqual(['mean']);
    }
    expect(columnsOf(frames[0]!, {}).map(({ title }) => title)).toEqual(['Time', 'mean']);
  });
  test('of joined series name these in full', () => {
    expect(columnsOf(joinByField(frames, {})[0]!, {}).map(({ title }) => title)).toEqual(['Time', 'cpu.mean { host: a }', 'cpu.mean { host: b }']);
  });
  test('are chosen among by name', () => {
    expect(frames.map(frameTitle)).toEqual(['cpu.mean { host: a }', 'cpu.mean { host: b }']);
    expect(frameTitle({ refId: 'A', name: '', fields: [] }, 1)).toBe('A 2');
  });
  test('display names may have a label', () => {
    expect(columnsOf(frames[0]!, { defaults: { displayName: '${__field.labels.host}' } })[1]!.title).toBe('a');
  });
});
