import { describe, expect, test } from 'vitest';
import { resolveFieldConfig } from '../dashboard/fieldConfig';
import { FluxReader } from './annotatedCsv';
import { fluxFrames } from './flux';
import type { Field } from './frame';
import { type InfluxSeries, toFrames } from './influx';
import { toRegex } from './regex';
import { joinByField, organize, reduceToRows, sortBy } from './transform/tables';

const CPU: InfluxSeries[] = ['a', 'b'].map((host) => ({ name: 'cpu', tags: { host }, columns: ['time', 'mean'], values: [[1, 5], [2, 6]] })); // prettier-ignore
const series = (alias?: string) => toFrames(CPU, { refId: 'A', format: 'time_series', alias });

describe('names that Grafana’s dashboards use', () => {
  test('series are joined by their times, whatever these are called', () => {
    for (const options of [{ byField: 'Time' }, { byField: 'time' }, {}]) {
      const [joined] = joinByField(series(), options);
      expect(joined!.fields.map(({ name, type, values }) => [name, type, values])).toEqual([
        ['Time', 'time', [1, 2]], ['mean 1', 'number', [5, 6]], ['mean 2', 'number', [5, 6]],
      ]); // prettier-ignore
    }
  });
  test('organize finds columns by them', () => {
    const [joined] = joinByField(series(), {});
    const done = organize(joined!, { excludeByName: { Time: true }, renameByName: { 'cpu.mean {host: a}': 'A', 'cpu.mean { host: b }': 'B' } });
    expect(done.fields.map(({ name }) => name)).toEqual(['A', 'B']);
    const [table] = toFrames(CPU, { refId: 'A', format: 'table' });
    expect(organize(table!, { excludeByName: { Time: true } }).fields.map(({ name }) => name)).toEqual(['host', 'mean']);
    expect(sortBy(table!, { sort: [{ field: 'Time', desc: true }] }).fields[0]!.values).toEqual([2, 2, 1, 1]);
  });
  test('a reduced series without labels as columns keeps its full name', () => {
    expect(reduceToRows(series(), {})[0]!.fields[0]!.values).toEqual(['cpu.mean { host: a }', 'cpu.mean { host: b }']);
    expect(reduceToRows(series(), { labelsToFields: true })[0]!.fields[0]!.values).toEqual(['mean', 'mean']);
  });

  const unit = (field: Field, id: string, options: unknown) =>
    resolveFieldConfig({ overrides: [{ matcher: { id, options }, properties: [{ id: 'unit', value: 'x' }] }] }, { name: 'shown', field, refId: 'A' }).unit === 'x';

  test('overrides find series by them', () => {
    const field = series()[0]!.fields[1]!;
    expect(['cpu.mean {host: a}', 'cpu.mean { host: a }', 'Value', 'mean', 'shown'].map((name) => unit(field, 'byName', name))).toEqual(Array(5).fill(true));
    expect(unit(field, 'byName', 'cpu.mean {host: b}')).toBe(false);
    expect(unit(field, 'byRegexp', '/cpu\\.mean.*host: a.*/')).toBe(true);
    expect(unit(field, 'byRegexp', '/HOST: A/i')).toBe(true);
    expect(unit(field, 'byRegexp', '/HOST: A/')).toBe(false);
    expect(unit(field, 'byRegexp', '/(/')).toBe(false);
    // Bare is whole.
    expect(unit(field, 'byRegexp', 'cpu')).toBe(false);
    expect(unit(field, 'byNames', { names: ['cpu.mean {host: a}'] })).toBe(true);
    expect(unit(field, 'byNames', { mode: 'exclude', names: ['cpu.mean {host: a}'] })).toBe(false);
  });
  test('an alias takes the place of the full name', () => {
    const field = series('$tag_host')[0]!.fields[1]!;
    expect(['a', 'Value'].map((name) => unit(field, 'byName', name))).toEqual([true, true]);
    expect(unit(field, 'byRegexp', '/host: a/')).toBe(false);
  });
  test('series in Flux', () => {
    const reader = new FluxReader();
    reader.push('#datatype,string,long,dateTime:RFC3339,double,string,string,string\n#group,false,false,false,false,true,true,true\n#default,,,,,,,\n');
    reader.push(',result,table,_time,_value,_field,_measurement,host\n,_result,0,2026-11-30T04:00:00Z,1,usage,cpu,a\n');
    const field = fluxFrames(reader.end().tables, 'A')[0]!.fields[1]!;
    expect(['usage', 'usage {host="a"}', 'cpu usage {host="a"}', 'cpu usage', 'usage a'].map((name) => unit(field, 'byName', name))).toEqual(Array(5).fill(true));
  });
});

test('regular expressions of dashboards', () => {
  expect(toRegex('/^A/i')!.test('abc')).toBe(true);
  expect([toRegex('a|b')!.test('b'), toRegex('a|b')!.test('ab')]).toEqual([true, false]);
  expect(toRegex('[')).toBeUndefined();
});
