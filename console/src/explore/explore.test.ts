import { describe, expect, test } from 'vitest';
import { placeAt, suggestionsFor } from './completion';
import { curlCommand } from './curl';
import { fill } from '../dashboard/interpolate';
import type { Language } from '../data/language';
import { markOf } from './errorPosition';
import { remember } from './history';
import { shape } from './run';
import { quoteIdent, quoteString, type Schema } from './schema';

/** The cursor is where the text has a bar. */
function place(marked: string) {
  const at = marked.indexOf('|');
  return placeAt(marked.replace('|', ''), at);
}

describe('completion', () => {
  test.each([
    ['|', 'statement'],
    ['SEL|', 'statement'],
    ['SHOW TAG|', 'statement'],
    ['SELECT |', 'select'],
    ['SELECT mean(|) FROM cpu', 'select'],
    ['SELECT mean("us|', 'select'],
    ['SELECT x FROM |', 'measurement'],
    ['SELECT x FROM cpu, |', 'measurement'],
    ['SELECT x FROM cpu WHERE |', 'where'],
    ['SELECT x FROM cpu WHERE $timeFilter AND ho|', 'where'],
    ['SELECT x FROM cpu WHERE "host" = |', 'value'],
    ['SELECT x FROM cpu WHERE host = \'h|', 'value'],
    ['SELECT x FROM cpu GROUP BY |', 'group'],
    ['SHOW TAG VALUES FROM cpu WITH KEY = |', 'key'],
    ['SELECT x FROM cpu; |', 'statement'],
    ['SELECT x FROM cpu LIMIT |', 'keyword'],
  ])('%s expects %s', (text, expects) => expect(place(text).expects).toBe(expects));

  test('knows the measurement, before and after the cursor, in its own statement', () => {
    expect(place('SELECT me| FROM "my cpu" WHERE x').measurement).toBe('my cpu');
    expect(place('SELECT x FROM telegraf.autogen.disk WHERE |').measurement).toBe('disk');
    expect(place('SELECT x FROM cpu; SELECT | FROM mem').measurement).toBe('mem');
  });
  test('knows the tag and where the word begins', () => {
    expect(place('SELECT x FROM cpu WHERE "ho st" = \'a|')).toMatchObject({ tag: 'ho st', from: 34 });
    expect(place('SELECT x FROM cpu WHERE h = \'a;b\' AND |').expects).toBe('where');
    expect(place('SELECT us|').from).toBe(7);
  });
  test('offers what the schema has, quoted', async () => {
    const schema: Schema = {
      buckets: async () => ['db'],
      measurements: async () => ['cpu'],
      fields: async () => [{ name: 'usage idle', type: 'float' }],
      tags: async () => ['host'],
      tagValues: async (_, tag) => [`${tag}'s`],
    };
    const offered = async (text: string) => (await suggestionsFor(place(text), schema)).map(({ apply, label }) => apply ?? label);
    expect(await offered('SELECT x FROM |')).toEqual(['"cpu"']);
    expect(await offered('SELECT | FROM cpu')).toEqual(expect.arrayContaining(['mean(', '"usage idle"', '"host"']));
    expect(await offered('SELECT x FROM cpu WHERE host = |')).toEqual(["'host\\'s'"]);
  });
});

describe('errors', () => {
  const scope = { range: { from: 1_690_000_000_000, to: 1_690_003_600_000 }, intervalMs: 10_000, variables: {}, bucket: 'telegraf' };
  /** What is marked of the text. */
  const marked = (message: string, typed: string, language: Language = 'influxql') => {
    const mark = markOf(message, typed, fill(typed, scope, language));
    return mark && typed.slice(mark.from, mark.to);
  };

  test('are found in the text', () => {
    expect(marked('error parsing query: found FORM, expected FROM at line 2, char 1', 'SELECT x\nFORM cpu')).toBe('FORM');
    expect(marked('database not found: x', 'SELECT x')).toBeUndefined();
  });
  test('beyond the end mark the end', () => expect(marked('found EOF at line 1, char 99', 'abc')).toBe('c'));
  test('behind a macro are marked where they were typed', () => {
    const typed = 'SELECT x FROM m WHERE $timeFilter GRUOP';
    const sent = fill(typed, scope, 'influxql').text;
    expect(marked(`found GRUOP at line 1, char ${sent.indexOf('GRUOP') + 1}`, typed)).toBe('GRUOP');
    expect(marked(`found x at line 1, char ${sent.indexOf('>=') + 1}`, typed), 'in a macro: where it begins').toBe('$');
  });
  test('in Flux span what they are about, whatever was filled in before', () => {
    const typed = 'from(bucket: v.bucket)\n  |> range(start: v.timeRangeStart) |> filtr(fn: (r) => true)';
    const column = fill(typed, scope, 'flux').text.split('\n')[1]!.indexOf('filtr') + 1;
    expect(marked(`compilation failed: error @2:${column}-2:${column + 5}: undefined identifier "filtr"`, typed, 'flux')).toBe('filtr');
    expect(marked('runtime error @1:1-1:25: from: cannot submit unbounded read', typed, 'flux')).toBe('from(bucket: v.bucket)');
  });
  test('count bytes in Flux', () => {
    expect(marked('error @1:12-1:13: undefined identifier "x"', '"µµµµ" x', 'flux')).toBe('x');
    expect(marked('error @1:5-1:5: expected `)`', 'f(1 ', 'flux')).toBe(' ');
  });
});

test('the same query again moves to the top of the history', () => {
  const entry = (q: string, at: number) => ({ q, db: 'd', at });
  expect(remember([entry('b', 2), entry('a', 1)], entry('a', 3))).toEqual([entry('a', 3), entry('b', 2)]);
  const full = Array.from({ length: 60 }, (_, i) => entry(String(i), i));
  expect(remember(full, entry('new', 99))).toHaveLength(60);
});

test('a shell gets the query as it is', () => {
  expect(curlCommand('http://h:8086', 'db', "SELECT 'x'")).toBe(
    "curl -sG 'http://h:8086/query' \\\n  --data-urlencode 'db=db' \\\n  --data-urlencode 'q=SELECT '\\''x'\\'''",
  );
  expect(curlCommand('http://h:8086', 'db', 'from(bucket: "a")', 'flux')).toBe(
    "curl -s 'http://h:8086/api/v2/query?org=-' \\\n  -H 'Content-Type: application/vnd.flux' \\\n  --data-binary 'from(bucket: \"a\")'",
  );
});

test('quoting', () => {
  expect(quoteIdent('a"b\\')).toBe('"a\\"b\\\\"');
  expect(quoteString("it's")).toBe("'it\\'s'");
});

describe('results', () => {
  test('times and numbers are drawn, everything is listed', () => {
    const result = shape({ statement_id: 0, series: [{ name: 'cpu', tags: { host: 'a' }, columns: ['time', 'mean', 'note'], values: [[1, 2, 'x'], [2, 3, 'y']] }] });
    expect(result.series).toHaveLength(1);
    expect(result).toMatchObject({ rows: 2, seriesCount: 1 });
    expect(result.tables[0]!.fields.map(({ name }) => name)).toEqual(['time', 'host', 'mean', 'note']);
  });
  test('lists and single points are not drawn', () => {
    expect(shape({ statement_id: 0, series: [{ columns: ['name'], values: [['cpu'], ['mem']] }] }).series).toEqual([]);
    expect(shape({ statement_id: 0, series: [{ columns: ['time', 'last'], values: [[1, 2]] }] }).series).toEqual([]);
    expect(shape({ statement_id: 0 })).toMatchObject({ rows: 0, seriesCount: 0 });
  });
});
