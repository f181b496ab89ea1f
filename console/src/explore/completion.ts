/** What may come next in a query in InfluxQL: worked out from the text before the cursor, filled from the schema. */
import { FUNCTIONS, KEYWORDS, STATEMENTS } from './grammar';
import { quoteIdent, quoteString, type Schema } from './schema';
import type { Completer, Suggestion } from './suggestion';

export interface Place {
  /** Where the word being typed begins. */
  from: number;
  expects: 'statement' | 'select' | 'measurement' | 'where' | 'group' | 'value' | 'key' | 'keyword';
  measurement?: string | undefined;
  /** The tag whose value is expected. */
  tag?: string | undefined;
}

const IDENT = /"(?:[^"\\]|\\.)*"|[\w-]+/;

/** Where the statement around the cursor begins, and the quote that is open there, if any. */
function scan(text: string, at: number): { start: number; quote: number | undefined } {
  let start = 0;
  let quote: number | undefined;
  for (let i = 0; i < at; i++) {
    const char = text[i];
    if (quote !== undefined) {
      if (char === '\\') i += 1;
      else if (char === text[quote]) quote = undefined;
    } else if (char === '"' || char === "'") quote = i;
    else if (char === ';') start = i + 1;
  }
  return { start, quote };
}

/** `text` is the whole query, `at` the cursor. Statements are separated by semicolons. */
export function placeAt(text: string, at: number): Place {
  const { start, quote } = scan(text, at);
  const end = text.indexOf(';', at);
  const before = text.slice(start, at);
  const statement = text.slice(start, end < 0 ? undefined : end);
  const word = quote === undefined ? (/[$\w.:-]*$/.exec(before)?.[0] ?? '') : text.slice(quote, at);
  const from = at - word.length;
  const head = before.slice(0, before.length - word.length);
  const measurement = measurementOf(statement);

  if (/^\s*$/.test(head)) return { from, expects: 'statement' };
  if (/^\s*show\s+$/i.test(head)) return { from: start + head.search(/\S/), expects: 'statement' };
  if (/\bkey\s*=\s*$/i.test(head)) return { from, expects: 'key', measurement };
  const compared = new RegExp(`(${IDENT.source})\\s*(?:=|!=|<>)\\s*$`).exec(head);
  if (compared && /\bwhere\b/i.test(head)) return { from, expects: 'value', measurement, tag: unquote(compared[1]!) };
  if (/\b(?:from|measurement\s*=|into)\s+$|\bfrom\s+[^;()]*,\s*$/i.test(head) && !/\bwhere\b/i.test(head)) return { from, expects: 'measurement' };

  const clause = [...head.matchAll(/\b(select|from|where|group\s+by|order\s+by|limit|show)\b/gi)].at(-1)?.[1]?.toLowerCase().replace(/\s+/g, ' ');
  switch (clause) {
    case 'select': return { from, expects: 'select', measurement };
    case 'where': return { from, expects: 'where', measurement };
    case 'group by': return { from, expects: 'group', measurement };
    default: return { from, expects: 'keyword', measurement };
  }
}

function measurementOf(statement: string): string | undefined {
  const match = new RegExp(`\\bfrom\\s+((?:${IDENT.source})(?:\\.{1,2}(?:${IDENT.source}))*)`, 'i').exec(statement);
  const last = match?.[1]?.match(new RegExp(`${IDENT.source}$`))?.[0];
  return last ? unquote(last) : undefined;
}

function unquote(ident: string): string {
  return ident.startsWith('"') ? ident.slice(1, -1).replace(/\\(.)/g, '$1') : ident;
}

export const influxqlCompletions: Completer = (text, at, schema) => {
  const place = placeAt(text, at);
  // After a space only where something certain is expected; elsewhere a list would pop up with every blank.
  const eager = place.expects === 'measurement' || place.expects === 'value' || place.expects === 'key';
  return { from: place.from, eager, word: /^[$\w.:-]*$/, list: () => suggestionsFor(place, schema) };
};

export async function suggestionsFor(place: Place, schema: Schema): Promise<Suggestion[]> {
  const { measurement, tag } = place;
  switch (place.expects) {
    case 'statement': return STATEMENTS.map(keyword);
    case 'measurement': return (await schema.measurements()).map((name) => ident(name, 'measurement'));
    case 'key': return (await schema.tags(measurement)).map((name) => ident(name, 'tag'));
    case 'value': return tag ? (await schema.tagValues(measurement, tag)).map((value) => ({ label: value, apply: quoteString(value), kind: 'value' as const })) : [];
    case 'select': return [...functions(), ...(await fieldsOf(schema, measurement)), ...(await tagsOf(schema, measurement)), keyword('FROM'), keyword('AS')];
    case 'where': return [
        { label: '$timeFilter', detail: 'the page’s time range', kind: 'macro' },
        ...(await tagsOf(schema, measurement)),
        ...(await fieldsOf(schema, measurement)),
        ...['AND', 'OR', 'GROUP BY', 'ORDER BY time DESC', 'LIMIT'].map(keyword),
      ]; // prettier-ignore
    case 'group': return [
        { label: 'time($__interval)', detail: 'buckets that suit the chart', kind: 'macro' },
        ...(await tagsOf(schema, measurement)),
        ...['fill(none)', 'fill(null)', 'fill(previous)', 'fill(linear)', 'ORDER BY time DESC', 'LIMIT', 'SLIMIT'].map(keyword),
      ]; // prettier-ignore
    case 'keyword': return KEYWORDS.map(keyword);
  }
}

function keyword(label: string): Suggestion {
  return { label, apply: `${label} `, kind: 'keyword' };
}

function functions(): Suggestion[] {
  return FUNCTIONS.map(({ name, what }) => ({ label: name, apply: `${name}(`, detail: what, kind: 'function' }));
}

function ident(name: string, kind: Suggestion['kind'], detail?: string): Suggestion {
  return { label: name, apply: quoteIdent(name), kind, ...(detail ? { detail } : {}) };
}

async function fieldsOf(schema: Schema, measurement: string | undefined): Promise<Suggestion[]> {
  return (await schema.fields(measurement)).map(({ name, type }) => ident(name, 'field', type));
}

async function tagsOf(schema: Schema, measurement: string | undefined): Promise<Suggestion[]> {
  return (await schema.tags(measurement)).map((name) => ident(name, 'tag', 'tag'));
}
