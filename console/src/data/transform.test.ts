import { describe, expect, test } from 'vitest';
import { type Cell, type Frame, makeField } from './frame';
import { reduce } from './reduce';
import { transform } from './transform';
import { groupSeries } from './transform/groupSeries';
import { rate } from './transform/rate';
import { compareCells, filterByValue, joinByField, organize, reduceToRows, sortBy } from './transform/tables';

const BUCKETS = { intervalMs: 10_000, toMs: 1_000_000 };

function series(times: number[], values: Cell[], labels: Record<string, string> = {}, refId = 'A', name = 'x'): Frame {
  return { refId, name: 'm', fields: [makeField('time', times, { type: 'time', labels }), makeField(name, values, { type: 'number', labels })] };
}

function table(refId: string, columns: Record<string, Cell[]>): Frame {
  return { refId, name: 'm', fields: Object.entries(columns).map(([name, values]) => makeField(name, values)) };
}

const values = (frame: Frame, name: string) => frame.fields.find((field) => field.name === name)?.values;

describe('rate', () => {
  const rates = (times: number[], counts: Cell[], options = {}, buckets = BUCKETS) => values(rate(series(times, counts), options, buckets), 'x');

  test('growth for each second, none for the first point', () => {
    expect(rates([0, 10_000, 20_000], [100, 200, 250])).toEqual([null, 10, 5]);
  });
  test('a counter that restarts gives no value, never a negative one', () => {
    expect(rates([0, 10_000, 20_000, 30_000], [100, 200, 5, 55])).toEqual([null, 10, null, 5]);
  });
  test('empty buckets are bridged by the mean growth', () => {
    expect(rates([0, 10_000, 20_000], [100, null, 300])).toEqual([null, null, 10]);
  });
  test('not across an outage', () => {
    expect(rates([0, 600_000, 610_000], [100, 700, 710])).toEqual([null, null, 1]);
  });
  test('scale', () => {
    expect(rates([0, 10_000], [0, 100], { scale: 8 })).toEqual([null, 80]);
  });
  test('a bucket that is still filling gives no value when it is wider than the agents’ interval', () => {
    const filling = { intervalMs: 60_000, toMs: 130_000 };
    expect(rates([0, 60_000, 120_000], [0, 60, 70], {}, filling)).toEqual([null, 1, null]);
    expect(rates([0, 60_000, 120_000], [0, 60, 120], {}, { intervalMs: 60_000, toMs: 180_000 })).toEqual([null, 1, 1]);
    expect(rates([0, 10_000], [0, 10], {}, { intervalMs: 10_000, toMs: 15_000 })).toEqual([null, 1]);
  });
  test('only the columns asked for', () => {
    const frame = { ...series([0, 10_000], [0, 10]), fields: [...series([0, 10_000], [0, 10]).fields, makeField('y', [0, 10])] };
    const rated = rate(frame, { fields: '^x$' }, BUCKETS);
    expect(values(rated, 'x')).toEqual([null, 1]);
    expect(values(rated, 'y')).toEqual([0, 10]);
  });
  test('tables without time stay as they are', () => {
    const frame = table('A', { host: ['a'], x: [1] });
    expect(rate(frame, {}, BUCKETS)).toBe(frame);
  });
});

describe('groupSeries', () => {
  test('adds up what shares the labels, at each time', () => {
    const grouped = groupSeries([
      series([1, 2], [10, 20], { host: 'a', nic: '0' }),
      series([2, 3], [1, 2], { host: 'a', nic: '1' }),
      series([1], [5], { host: 'b', nic: '0' }),
    ], { by: ['host'] }); // prettier-ignore
    expect(grouped.map((frame) => [frame.fields[1]!.labels, frame.fields[0]!.values, frame.fields[1]!.values])).toEqual([
      [{ host: 'a' }, [1, 2, 3], [10, 21, 2]],
      [{ host: 'b' }, [1], [5]],
    ]);
  });
  test('nothing is not zero', () => {
    expect(values(groupSeries([series([1, 2], [null, 3]), series([1, 2], [null, 4])], {})[0]!, 'x')).toEqual([null, 7]);
  });
  test('columns of different names stay apart', () => {
    expect(groupSeries([series([1], [1], {}, 'A', 'in'), series([1], [2], {}, 'A', 'out')], {})).toHaveLength(2);
  });
  test('other reducers', () => {
    expect(values(groupSeries([series([1], [1]), series([1], [3])], { reducer: 'mean' })[0]!, 'x')).toEqual([2]);
  });
});

describe('tables', () => {
  const cpu = table('A', { host: ['a', 'b'], cpu: [1, 2] });
  const mem = table('B', { host: ['b', 'c'], time: [7, 8], mem: [20, 30] });

  test('an outer join has a row for each key', () => {
    const [joined] = joinByField([cpu, mem], { byField: 'host' });
    expect(joined!.fields.map(({ name, values: cells }) => [name, cells])).toEqual([
      ['host', ['a', 'b', 'c']], ['cpu', [1, 2, null]], ['time', [null, 7, 8]], ['mem', [null, 20, 30]],
    ]); // prettier-ignore
  });
  test('an inner join only those in every table; equal names are numbered', () => {
    const [joined] = joinByField([cpu, table('B', { host: ['b'], cpu: [9] })], { byField: 'host', mode: 'inner' });
    expect(joined!.fields.map(({ name, values: cells }) => [name, cells])).toEqual([['host', ['b']], ['cpu 1', [2]], ['cpu 2', [9]]]);
  });
  test('times of joined tables are called as in Grafana, in either spelling', () => {
    const timed = (refId: string, name: string): Frame => ({ refId, name: 'm', fields: [makeField(name, [1], { type: 'time' }), makeField('host', ['a'])] });
    const [joined] = joinByField([timed('A', 'Time'), timed('B', 'Time'), timed('C', 'Time')], { byField: 'host' });
    expect(joined!.fields.map(({ name }) => name)).toEqual(['host', 'Time 1', 'Time 2', 'Time 3']);
    expect(organize(joined!, { excludeByName: { 'Time 1': true, 'time 2': true } }).fields.map(({ name }) => name)).toEqual(['host', 'Time 3']);
  });
  test('several columns may be the key', () => {
    const left = table('A', { host: ['h1', 'h2'], vm: ['x', 'x'], a: [1, 2] });
    const right = table('B', { vm: ['x'], host: ['h2'], b: [5] });
    expect(values(joinByField([left, right], { byFields: ['host', 'vm'] })[0]!, 'b')).toEqual([null, 5]);
  });
  test('tables without the key are left out', () => {
    expect(joinByField([table('A', { x: [1] })], { byField: 'host' })).toEqual([]);
  });
  test('reduce makes a row of each series', () => {
    const [rows] = reduceToRows([series([1, 2], [5, null], { host: 'a' }), series([1, 2], [6, 7], { host: 'b' })], { reducers: ['lastNotNull', 'max'], labelsToFields: true });
    expect(rows!.fields.map(({ name, values: cells }) => [name, cells])).toEqual([
      ['Field', ['x', 'x']], ['host', ['a', 'b']], ['Last', [5, 7]], ['Max', [5, 7]],
    ]); // prettier-ignore
    const [named] = reduceToRows([series([1], [5], { host: 'a' })], { labelsToFields: true, nameByField: true });
    expect(named!.fields.map(({ name }) => name)).toEqual(['host', 'x']);
  });
  test('reduce may keep columns, with one row', () => {
    const frames = [series([1, 2], [5, 7], { host: 'a' }), series([1, 2], [6, 8], { host: 'b' })];
    const done = reduceToRows(frames, { mode: 'reduceFields', reducers: ['mean'] });
    expect(done.map(({ fields }) => fields.map(({ name, values: cells, labels }) => [name, cells, labels]))).toEqual([
      [['x', [6], { host: 'a' }]], [['x', [7], { host: 'b' }]],
    ]); // prettier-ignore
    expect(reduceToRows(frames.slice(0, 1), { mode: 'reduceFields', reducers: ['min', 'max'] })[0]!.fields.map(({ name, values: [cell] }) => [name, cell])).toEqual([['x Min', 5], ['x Max', 7]]); // prettier-ignore
  });
  test('organize hides, orders, renames', () => {
    const done = organize(table('A', { a: [1], b: [2], c: [3] }), { excludeByName: { b: true }, indexByName: { c: 0, a: 1 }, renameByName: { a: 'Alpha' } });
    expect(done.fields.map(({ name }) => name)).toEqual(['c', 'Alpha']);
  });
  test('sorting puts nothing last, either way', () => {
    const frame = table('A', { x: [2, null, 3] });
    expect(values(sortBy(frame, { sort: [{ field: 'x' }] }), 'x')).toEqual([2, 3, null]);
    expect(values(sortBy(frame, { sort: [{ field: 'x', desc: true }] }), 'x')).toEqual([3, 2, null]);
    expect(['vm-10', 'vm-2'].sort(compareCells)).toEqual(['vm-2', 'vm-10']);
  });
  test('filterByValue', () => {
    const frame = table('A', { state: [1, 3, 5] });
    const keep = (type: 'include' | 'exclude', ...wanted: number[]) =>
      values(filterByValue(frame, { type, match: 'any', filters: wanted.map((value) => ({ fieldName: 'state', config: { id: 'equal', options: { value } } })) }), 'state');
    expect(keep('include', 1, 5)).toEqual([1, 5]);
    expect(keep('exclude', 1)).toEqual([3, 5]);
  });
});

describe('a chain', () => {
  test('filters by query, skips what is disabled, names what it does not know', () => {
    const frames = [series([0, 10_000], [0, 10], {}, 'A'), series([0, 10_000], [0, 10], {}, 'B')];
    const { frames: done, unknown } = transform(frames, [
      { id: 'rate', filter: { id: 'byRefId', options: 'B' } },
      { id: 'rate', disabled: true },
      { id: 'heatmap' },
    ], BUCKETS); // prettier-ignore
    expect(Object.fromEntries(done.map((frame) => [frame.refId, values(frame, 'x')]))).toEqual({ A: [0, 10], B: [null, 1] });
    expect(unknown).toEqual(['heatmap']);
  });
});

test('reducers', () => {
  const cells: Cell[] = [null, 1, 4, null, 2, null];
  expect(['lastNotNull', 'last', 'firstNotNull', 'min', 'max', 'sum', 'count', 'median', 'range', 'diff', 'p95'].map((id) => reduce(cells, id)))
    .toEqual([2, null, 1, 1, 4, 7, 3, 2, 3, 1, 4]); // prettier-ignore
  expect(reduce(cells, 'countAll')).toBe(6);
  expect(['step', 'diffperc', 'delta', 'logmin', 'variance', 'stdDev'].map((id) => reduce([0.5, null, 0, 4, 6, 1.5], id))).toEqual([-4.5, 2, 7.5, 0.5, 5.14, Math.sqrt(5.14)]);
  expect(reduce([1, 1, null, 2], 'changeCount')).toBe(2);
  expect([[0, null], [0, 1], [null], []].map((list) => reduce(list, 'allIsZero'))).toEqual([true, false, false, false]); // prettier-ignore
  expect([[0, null], [null], []].map((list) => reduce(list, 'allIsNull'))).toEqual([false, true, true]); // prettier-ignore
  expect(['delta', 'step', 'diffperc', 'variance', 'logmin'].map((id) => reduce([null], id))).toEqual([null, null, null, null, null]);
  expect(reduce(cells, 'mean')).toBeCloseTo(7 / 3);
  expect(reduce([], 'mean')).toBeNull();
  expect(reduce(cells, 'unheardOf')).toBeNull();
});
