import { describe, expect, test } from 'vitest';
import { type FluxAnswer, FluxReader, LIMITS, timeOf } from './annotatedCsv';
import { CsvReader } from './csv';
import { firstStrings, fluxFrames, fluxRows } from './flux';
import { languageOf } from './language';
import { nameSeries } from './names';

function rowsOf(...pieces: string[]): string[][] {
  const rows: string[][] = [];
  const reader = new CsvReader((cells) => rows.push(cells) > 0);
  for (const piece of pieces) reader.push(piece);
  reader.end();
  return rows;
}

describe('CSV', () => {
  test('quotes, doubled quotes, commas and line ends in them, both kinds of line ends', () => {
    expect(rowsOf('a,"b,""c""\r\nd",\r\n,x\n')).toEqual([['a', 'b,"c"\r\nd', ''], ['', 'x']]);
  });
  test('pieces may end anywhere', () => {
    const text = 'a,"b""c\n1"\r\nd,e';
    const whole = [['a', 'b"c\n1'], ['d', 'e']];
    for (let cut = 0; cut <= text.length; cut++) expect(rowsOf(text.slice(0, cut), text.slice(cut)), `cut at ${cut}`).toEqual(whole);
  });
});

const CPU = `#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string
#group,false,false,true,true,false,false,true,true,true
#default,_result,,,,,,,,
,result,table,_start,_stop,_time,_value,_field,_measurement,host
,,0,2026-11-30T04:00:00Z,2026-11-30T05:00:00Z,2026-11-30T04:00:10Z,1.5,usage,cpu,a
,,0,2026-11-30T04:00:00Z,2026-11-30T05:00:00Z,2026-11-30T04:00:20.123456789Z,,usage,cpu,a
,,1,2026-11-30T04:00:00Z,2026-11-30T05:00:00Z,2026-11-30T04:00:10Z,+Inf,usage,cpu,b

`.replaceAll('\n', '\r\n');

const PIVOTED = `#datatype,string,long,string,dateTime:RFC3339,dateTime:RFC3339,double,double
#group,false,false,true,true,false,false,false
#default,_result,,,,,,
,result,table,host,_start,_time,user,system
,,0,a,2026-11-30T04:00:00Z,2026-11-30T04:00:10Z,1,2
`;

const TYPES = `#datatype,string,long,string,double,boolean,long,unsignedLong,base64Binary,dateTime:RFC3339Nano,duration
#group,false,false,false,false,false,false,false,false,false,false
#default,_result,,,,,,,,,
,result,table,s,d,b,l,u,x,t,n
,,0,a,-1e-3,true,-7,8,AQ==,1970-01-01T00:00:01.5+01:00,1h
`;

function read(text: string, limits = LIMITS): FluxAnswer {
  const reader = new FluxReader(limits);
  return reader.push(text) ? reader.end() : reader.answer;
}

const frames = (text: string) => fluxFrames(read(text).tables, 'A');

describe('annotated CSV', () => {
  test('every type', () => {
    const { columns, values } = read(TYPES).tables[0]!;
    expect(columns.map(({ type }) => type)).toEqual(['string', 'number', 'boolean', 'number', 'number', 'string', 'time', 'string']);
    expect(values.map(([cell]) => cell)).toEqual(['a', -0.001, true, -7, 8, 'AQ==', 1_500 - 3_600_000, '1h']);
  });
  test('times to milliseconds, before 1970 too', () => {
    expect(timeOf('2026-11-30T04:00:20.123999999Z')).toBe(Date.UTC(2026, 10, 30, 4, 0, 20, 123));
    expect(timeOf('1969-12-31T23:59:59.9Z')).toBe(-100);
    expect(timeOf('yesterday')).toBeNull();
  });
  test('an empty cell is its default, else nothing', () => {
    const { tables } = read('#datatype,string,long,string,long\n#group,false,false,false,false\n#default,mine,,x,\n,result,table,s,l\n,,0,,\n');
    expect([tables[0]!.result, tables[0]!.values]).toEqual(['mine', [['x'], [null]]]);
  });
  test('blocks and results follow each other', () => {
    const { tables } = read(CPU + CPU.replaceAll('_result', 'other'));
    expect(tables.map(({ result, values }) => [result, values[0]!.length])).toEqual([['_result', 2], ['_result', 1], ['other', 2], ['other', 1]]);
  });
  test('an answer without rows has no tables', () => expect(read('\r\n').tables).toEqual([]));
  test.each([
    [`${CPU}#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,it broke,897\r\n`, 'it broke'],
    ['error,reference\r\n"it, too",\r\n', 'it, too'],
    [',result,table,_value\n,,0,1\n', 'the answer has no annotation "#datatype"'],
    ['#datatype,string,long,complex\n,result,table,z\n,,0,1\n', 'the column "z" has an unknown type "complex"'],
    [`${CPU.trimEnd()}\n,,1,2\n`, 'a row of the answer has 4 columns instead of 10'],
  ])('failures inside are told', (text, message) => expect(() => read(text)).toThrow(message));
  test('no more than a page can show, and it says so', () => {
    const few = read(CPU, { ...LIMITS, rows: 1 });
    expect([few.tables[0]!.values[0]!.length, few.notice]).toEqual([1, 'Only the first 1 rows are shown: filter more, or use aggregateWindow() for fewer points']);
    expect(read(CPU, { ...LIMITS, tables: 1 })).toMatchObject({ tables: { length: 1 }, notice: expect.stringContaining('first 1 series') });
    expect(read(CPU, { ...LIMITS, characters: 10 }).notice).toContain('too long');
    expect(read(CPU).notice).toBeUndefined();
  });
});

describe('frames', () => {
  test('one time and one value are a series: named by field, labelled by the group, without the range', () => {
    const [a, b] = frames(CPU);
    expect([a!.name, a!.fields.map(({ name, type, values, labels }) => ({ name, type, values, labels }))]).toEqual(['cpu', [
      { name: 'Time', type: 'time', values: [Date.UTC(2026, 10, 30, 4, 0, 10), Date.UTC(2026, 10, 30, 4, 0, 20, 123)], labels: { host: 'a' } },
      { name: 'usage', type: 'number', values: [1.5, null], labels: { host: 'a' } },
    ]]); // prettier-ignore
    expect(b!.fields[1]!.values).toEqual([Infinity]);
    expect(nameSeries(frames(CPU)).map(({ name }) => name)).toEqual(['a', 'b']);
  });
  test('other shapes keep their columns, times first', () => {
    const [frame] = frames(PIVOTED);
    expect(frame!.fields.map(({ name }) => name)).toEqual(['_time', '_start', 'host', 'user', 'system']);
    expect(frame!.fields[3]!.labels).toEqual({ host: 'a' });
  });
  test('a value without a field is called Value', () => {
    expect(frames(CPU.replace('_field', 'x').replaceAll(',usage,', ',,'))[0]!.fields.map(({ name }) => name)).toEqual(['Time', 'Value']);
  });
  test('for reading, tables of a kind are one', () => {
    const [table, ...rest] = fluxRows(read(CPU).tables, 'A');
    expect(rest).toEqual([]);
    expect([table!.name, table!.fields.map(({ name, values }) => [name, values.length])]).toEqual([
      'cpu', [['_time', 3], ['_value', 3], ['_field', 3], ['_measurement', 3], ['host', 3]],
    ]); // prettier-ignore
  });
  test('a variable takes the first column of text', () => {
    const text = '#datatype,string,long,long,string\n#group,false,false,false,false\n#default,_result,,,\n,result,table,n,_value\n,,0,1,b\n,,0,2,a\n,,0,3,b\n';
    expect(firstStrings(frames(text))).toEqual(['b', 'a']);
    expect(firstStrings([])).toEqual([]);
  });
});

test.each([
  ['SELECT x FROM m', 'influxql'],
  [' -- a comment\nshow databases', 'influxql'],
  ['from(bucket: "a") |> range(start: -1h)', 'flux'],
  ['// a comment\nimport "strings"', 'flux'],
  ['x = 1\nbuckets()', 'flux'],
  ['schema.tagValues(bucket: v.bucket, tag: "host")', 'flux'],
  ['option task = {name: "x"}', 'flux'],
  ['', 'influxql'],
])('the language of %s is %s', (text, language) => expect(languageOf(text)).toBe(language));
