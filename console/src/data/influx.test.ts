import { describe, expect, test } from 'vitest';
import { typeOf } from './frame';
import { errorOf, expandAlias, type InfluxSeries, toFrames } from './influx';
import { nameSeries } from './names';

const CPU: InfluxSeries[] = [
  { name: 'cpu', tags: { host: 'a', dc: 'x' }, columns: ['time', 'user', 'system'], values: [[1, 10, 2], [2, null, 3]] },
  { name: 'cpu', tags: { host: 'b', dc: 'x' }, columns: ['time', 'user', 'system'], values: [[1, 20, 4]] },
]; // prettier-ignore

describe('series to frames', () => {
  test('a frame for each series and column, sharing the times', () => {
    const frames = toFrames(CPU, { refId: 'A', format: 'time_series' });
    expect(frames.map(({ fields }) => fields.map(({ name }) => name))).toEqual([
      ['Time', 'user'], ['Time', 'system'], ['Time', 'user'], ['Time', 'system'],
    ]); // prettier-ignore
    expect(frames[0]!.fields[0]!.values).toBe(frames[1]!.fields[0]!.values);
    expect(frames[0]!.fields[1]!.values).toEqual([10, null]);
    expect(frames[2]!.fields[1]!.labels).toEqual({ host: 'b', dc: 'x' });
  });

  test('one table of all series: time, tags, columns', () => {
    const [table, ...rest] = toFrames(CPU, { refId: 'A', format: 'table' });
    expect(rest).toEqual([]);
    expect(table!.fields.map(({ name, type }) => [name, type])).toEqual([
      ['Time', 'time'], ['host', 'string'], ['dc', 'string'], ['user', 'number'], ['system', 'number'],
    ]); // prettier-ignore
    expect(table!.fields[1]!.values).toEqual(['a', 'a', 'b']);
    expect(table!.fields[3]!.values).toEqual([10, null, 20]);
  });

  test('answers without time stay tables', () => {
    const series = [{ name: 'cpu', columns: ['key', 'value'], values: [['host', 'a']] }];
    expect(toFrames(series, { refId: 'A', format: 'time_series' })[0]!.fields.map(({ name }) => name)).toEqual(['key', 'value']);
  });

  test('a series without values has empty columns', () => {
    expect(toFrames([{ name: 'cpu', columns: ['time', 'x'] }], { refId: 'A', format: 'time_series' })[0]!.fields[1]!.values).toEqual([]);
  });

  test('the first value decides the type', () => {
    expect(typeOf([null, 'x', 1])).toBe('string');
    expect(typeOf([null, null])).toBe('number');
  });
});

describe('names', () => {
  const named = (series: InfluxSeries[], alias?: string) => nameSeries(toFrames(series, { refId: 'A', format: 'time_series', alias })).map(({ name }) => name);

  test('say only what differs', () => {
    expect(named(CPU)).toEqual(['a · user', 'a · system', 'b · user', 'b · system']);
    const users = CPU.map((series) => ({ ...series, columns: ['time', 'user'] }));
    expect(named(users)).toEqual(['a', 'b']);
  });
  test('a single series is called by its labels, or by its column', () => {
    expect(named([{ name: 'cpu', tags: { host: 'a' }, columns: ['time', 'mean'], values: [[1, 1]] }])).toEqual(['a']);
    expect(named([{ name: 'cpu', columns: ['time', 'mean'], values: [[1, 1]] }])).toEqual(['mean']);
  });
  test('aliases', () => {
    expect(named(CPU, '$tag_host $col')).toEqual(['a user', 'a system', 'b user', 'b system']);
    expect(expandAlias('[[tag_host]]/$m/$measurement/$tag_none/$1/$other', { name: 'x.y', tags: { host: 'h' }, columns: [] }, 'c')).toBe('h/x.y/x.y//y/$other');
  });
});

test('the first error of an answer', () => {
  expect(errorOf({ error: 'no' })).toBe('no');
  expect(errorOf({ results: [{ statement_id: 0 }, { statement_id: 1, error: 'later' }] })).toBe('later');
  expect(errorOf({ results: [{ statement_id: 0 }] })).toBeUndefined();
});
