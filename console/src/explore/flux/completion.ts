/** What may come next in a query in Flux: worked out from the text before the cursor, filled from library and schema. */
import { quoteFlux } from '../../dashboard/macros';
import type { Schema } from '../schema';
import type { Completer, Suggestion } from '../suggestion';
import { AGGREGATES, functionCalled, LIBRARY, type LibraryFunction, signature } from './library';

export interface FluxPlace {
  /** Where the word being typed begins; its opening quote counts. */
  from: number;
  expects:
    | 'statement' | 'piped' | 'member' | 'argument' | 'argument-value' | 'column' | 'column-name' | 'bucket' | 'measurement'
    | 'tag' | 'value' | 'package' | 'nothing'; // prettier-ignore
  /** The function whose parentheses are open, and the argument before the colon. */
  callee?: string | undefined;
  argument?: string | undefined;
  /** The package before the dot, or the column that is compared. */
  subject?: string | undefined;
  measurement?: string | undefined;
}

interface Scanned {
  /** The quote that is open at the cursor, if any. */
  quote: number | undefined;
  inComment: boolean;
  /** What is called by the innermost open parenthesis. */
  callee: string | undefined;
}

function scan(text: string, at: number): Scanned {
  let quote: number | undefined;
  const open: (string | undefined)[] = [];
  for (let i = 0; i < at; i++) {
    const char = text[i]!;
    if (quote !== undefined) {
      if (char === '\\') i += 1;
      else if (char === '"') quote = undefined;
    } else if (char === '"') quote = i;
    else if (char === '/' && text[i + 1] === '/') {
      const end = text.indexOf('\n', i);
      if (end < 0 || end >= at) return { quote, inComment: true, callee: undefined };
      i = end;
    } else if (char === '/' && /[=!]~\s*$/.test(text.slice(Math.max(0, i - 9), i))) {
      i += (/^\/(?:[^/\\\n]|\\.)*/.exec(text.slice(i, at))?.[0].length ?? 1);
    } else if ('([{'.includes(char)) open.push(char === '(' ? /[\w.]+$/.exec(text.slice(0, i))?.[0] : undefined);
    else if (')]}'.includes(char)) open.pop();
  }
  return { quote, inComment: false, callee: open.at(-1) };
}

const COLUMN_LISTS = /\b(?:columns|rowKey|columnKey|groupColumns|keyColumns|on)\s*:\s*\[[^\]]*$/;
const COMPARED = /\b\w+(?:\.(\w+)|\["([^"]+)"\])\s*[!=]=\s*$/;

export function fluxPlaceAt(text: string, at: number): FluxPlace {
  const { quote, inComment, callee } = scan(text, at);
  const before = text.slice(0, at);
  const word = quote === undefined ? /\w*$/.exec(before)![0] : before.slice(quote);
  const from = at - word.length;
  const head = before.slice(0, from);
  const place = (expects: FluxPlace['expects'], rest: Partial<FluxPlace> = {}): FluxPlace => ({ from, expects, callee, measurement: measurementOf(text, at), ...rest });

  if (inComment) return place('nothing');
  if (/\bimport\s+$/.test(head)) return place('package');
  const compared = COMPARED.exec(head);
  if (compared) return place('value', { subject: compared[1] ?? compared[2] });
  if (/\b\w+\[\s*$/.test(head) || COLUMN_LISTS.test(head)) return place('column-name');
  const argument = /\b(\w+)\s*:\s*$/.exec(head)?.[1];
  if (argument === 'bucket') return place('bucket');
  if (argument === 'measurement') return place('measurement');
  if (argument === 'tag') return place('tag');
  if (argument && /column/i.test(argument)) return place('column-name');
  if (quote !== undefined) return place('nothing');
  if (argument) return place('argument-value', { argument });
  const subject = /\b(\w+)\.$/.exec(head)?.[1];
  if (subject) return LIBRARY.some(({ name }) => name === subject) || subject === 'v' ? place('member', { subject }) : place('column');
  if (/\|>\s*$/.test(head)) return place('piped');
  if (callee && /[(,]\s*$/.test(head)) return place('argument');
  return place('statement');
}

/** The measurement that is filtered for, the nearest before the cursor or the first after it. */
function measurementOf(text: string, at: number): string | undefined {
  const pattern = /(?:_measurement|\["_measurement"\])\s*==\s*"((?:[^"\\]|\\.)*)"|\bmeasurement\s*:\s*"((?:[^"\\]|\\.)*)"/g;
  const all = [...text.matchAll(pattern)];
  const nearest = all.findLast(({ index }) => index < at) ?? all[0];
  return nearest ? (nearest[1] ?? nearest[2])?.replace(/\\(.)/g, '$1') : undefined;
}

const EAGER: readonly FluxPlace['expects'][] = ['bucket', 'measurement', 'tag', 'value', 'package', 'member', 'column'];

export const fluxCompletions: Completer = (text, at, schema) => {
  const place = fluxPlaceAt(text, at);
  return { from: place.from, eager: EAGER.includes(place.expects), word: /^\w*$/, list: () => fluxSuggestions(place, schema) };
};

export async function fluxSuggestions(place: FluxPlace, schema: Schema): Promise<Suggestion[]> {
  const { measurement, subject, callee, argument } = place;
  switch (place.expects) {
    case 'nothing': return [];
    case 'package': return LIBRARY.filter(({ path }) => path).map(({ path }) => quoted(path, 'keyword'));
    case 'bucket': return [...MACROS.filter(({ label }) => label === 'v.bucket'), ...(await schema.buckets()).map((name) => quoted(name, 'measurement'))];
    case 'measurement': return (await schema.measurements()).map((name) => quoted(name, 'measurement'));
    case 'tag': return (await schema.tags(measurement)).map((name) => quoted(name, 'tag'));
    case 'value': return valuesOf(schema, subject ?? '', measurement);
    case 'column': return (await columnsOf(schema, measurement)).filter(({ label }) => /^[A-Za-z_]\w*$/.test(label));
    case 'column-name': return (await columnsOf(schema, measurement)).map((one) => ({ ...one, apply: quoteFlux(one.label) }));
    case 'member': return subject === 'v' ? MACROS.map((one) => ({ ...one, label: one.label.slice(2) })) : LIBRARY.filter(({ name }) => name === subject).flatMap(({ functions }) => functions.map(called));
    case 'piped': return [...LIBRARY[0]!.functions.filter(({ piped }) => piped).map(called), ...packageNames()];
    case 'argument': return (functionCalled(callee ?? '')?.args ?? []).map(({ name, optional }) => ({ label: name, apply: `${name}: `, kind: 'keyword', ...(optional ? { detail: 'may be left out' } : {}) }));
    case 'argument-value': return argumentValues(argument ?? '', callee);
    case 'statement': return [...LIBRARY[0]!.functions.filter(({ piped }) => !piped).map(called), ...packageNames(), ...KEYWORDS.map(keyword), ...MACROS];
  }
}

const KEYWORDS = ['import', 'option', 'and', 'or', 'not', 'exists', 'if', 'then', 'else', 'return', 'true', 'false'];

const MACROS: readonly Suggestion[] = [
  { label: 'v.bucket', detail: 'the database chosen above', kind: 'macro' },
  { label: 'v.timeRangeStart', detail: 'the page’s time range', kind: 'macro' },
  { label: 'v.timeRangeStop', detail: 'the page’s time range', kind: 'macro' },
  { label: 'v.windowPeriod', detail: 'windows that suit the chart', kind: 'macro' },
];

/** Columns of every row read from a bucket. */
const OWN_COLUMNS = ['_measurement', '_field', '_value', '_time', '_start', '_stop'];

function argumentValues(argument: string, callee: string | undefined): Suggestion[] {
  if (argument === 'fn') {
    const row: Suggestion = { label: '(r) => ', detail: 'for each row', kind: 'keyword' };
    const isAggregate = callee === 'aggregateWindow' || callee === 'window';
    return isAggregate ? AGGREGATES.map((label) => ({ label, detail: functionCalled(label)?.what ?? '', kind: 'function' })) : [row];
  }
  const fitting = { every: ['v.windowPeriod'], period: ['v.windowPeriod'], start: ['v.timeRangeStart'], stop: ['v.timeRangeStop'] }[argument];
  if (fitting) return MACROS.filter(({ label }) => fitting.includes(label));
  return [...LIBRARY[0]!.functions.filter(({ piped }) => !piped).map(called), ...['true', 'false'].map(keyword)];
}

async function valuesOf(schema: Schema, column: string, measurement: string | undefined): Promise<Suggestion[]> {
  switch (column) {
    case '_measurement': return (await schema.measurements()).map((name) => quoted(name, 'measurement'));
    case '_field': return (await schema.fields(measurement)).map(({ name, type }) => ({ ...quoted(name, 'field'), detail: type }));
    case '_value':
    case '_time': return [];
    default: return (await schema.tagValues(measurement, column)).map((value) => quoted(value, 'value'));
  }
}

async function columnsOf(schema: Schema, measurement: string | undefined): Promise<Suggestion[]> {
  const tags = (await schema.tags(measurement)).map((label): Suggestion => ({ label, detail: 'tag', kind: 'tag' }));
  return [...OWN_COLUMNS.map((label): Suggestion => ({ label, kind: 'field' })), ...tags];
}

/** Inserted up to where something has to be typed. */
function called(one: LibraryFunction): Suggestion {
  const first = one.args.find(({ optional }) => !optional)?.name;
  const rest = first === undefined ? ')' : first === 'fn' && one.name !== 'reduce' ? 'fn: (r) => ' : `${first}: `;
  return { label: one.name, apply: `${one.name}(${one.args.length === 0 ? ')' : rest}`, detail: `${signature(one)} ${one.what}`.trim(), kind: 'function' };
}

function packageNames(): Suggestion[] {
  return LIBRARY.filter(({ path }) => path).map(({ name, path }) => ({ label: name, apply: `${name}.`, detail: `import "${path}"`, kind: 'keyword' }));
}

function keyword(label: string): Suggestion {
  return { label, apply: `${label} `, kind: 'keyword' };
}

function quoted(label: string, kind: Suggestion['kind']): Suggestion {
  return { label, apply: quoteFlux(label), kind };
}
