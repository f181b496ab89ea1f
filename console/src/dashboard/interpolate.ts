/** Variables and macros in a query: `$host`, `${host:csv}`, `[[host]]`, `$timeFilter`, `$__interval`. */
import type { Language } from '../data/language';
import { influxDuration } from '../time/duration';
import type { TimeRange } from '../time/range';
import { escapeDouble, escapeRegex, escapeSingle, writeAs } from './formats';
import { flux, type Grammar, influxql } from './macros';
import type { TargetTag } from './model';

const GRAMMARS: Readonly<Record<Language, Grammar>> = { influxql, flux };

/** What a variable stands for at the moment. */
export interface VariableValue {
  values: readonly string[];
  /** How the values are shown, where that differs. */
  texts?: readonly string[] | undefined;
  /** "All" is chosen; `allValue` is then inserted as it is, else every value. */
  all?: boolean;
  allValue?: string | undefined;
  multi?: boolean;
  /** An interval's automatic choice: steps in the range, and the narrowest. */
  auto?: { count: number; minMs: number } | undefined;
  /** Conditions for every query in the place of a value. */
  filters?: readonly TargetTag[] | undefined;
}

export interface Scope {
  range: TimeRange;
  intervalMs: number;
  variables: Readonly<Record<string, VariableValue>>;
  /** Flux's `v.bucket`. */
  bucket?: string | undefined;
  /** What `$__dashboard` is. */
  dashboard?: { uid: string; title: string } | undefined;
  /** The format of references that name none: `text` for what people read, such as titles. */
  format?: string | undefined;
}

/** Where in the query a variable stands: it decides what has to be escaped. */
export type Context = 'bare' | 'single' | 'double' | 'regex' | 'comment' | 'block';

/** A stretch of the text as typed, and what was put in its place. */
interface Piece {
  typedFrom: number;
  typedTo: number;
  sentFrom: number;
  sentTo: number;
}

/** The query as it is sent, and how to find a place of it in the text as typed. */
export interface Filled {
  text: string;
  pieces: readonly Piece[];
}

const REFERENCE = /^(?:\$(\w+)|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}|\[\[(\w+)(?::(\w+))?\]\])/;
const REFERENCE_MAX = 200;

export function interpolate(query: string, scope: Scope, language: Language = 'influxql'): string {
  return fill(query, scope, language).text;
}

export function fill(query: string, scope: Scope, language: Language): Filled {
  const grammar = GRAMMARS[language];
  const pieces: Piece[] = [];
  let text = '';
  let context: Context = 'bare';
  for (let at = 0; at < query.length; ) {
    const found = replacement(query, at, context, text, scope, grammar);
    if (found) {
      pieces.push({ typedFrom: at, typedTo: at + found.length, sentFrom: text.length, sentTo: text.length + found.by.length });
      text += found.by;
      at += found.length;
      continue;
    }
    // What is escaped opens and closes nothing.
    const length = query[at] === '\\' && context !== 'bare' && context !== 'comment' && context !== 'block' ? 2 : 1;
    if (length === 1) context = grammar.nextContext(context, query, at);
    text += query.slice(at, at + length);
    at += length;
  }
  return { text, pieces };
}

/** Where in the text as typed the place of the sent text is; what stands in a replacement's stead is its beginning. */
export function typedOffset({ pieces }: Filled, sent: number): number {
  let shift = 0;
  for (const { typedFrom, typedTo, sentFrom, sentTo } of pieces) {
    if (sent < sentFrom) break;
    if (sent < sentTo) return typedFrom;
    shift = typedTo - sentTo;
  }
  return sent + shift;
}

function replacement(query: string, at: number, context: Context, before: string, scope: Scope, grammar: Grammar): { length: number; by: string } | undefined {
  const char = query[at]!;
  if (char === '$' || char === '[') {
    const match = REFERENCE.exec(query.slice(at, at + REFERENCE_MAX));
    const name = match?.[1] ?? match?.[2] ?? match?.[5];
    const by = match && name ? valueOf({ name, path: match[3], format: match[4] ?? match[6] }, context, scope, grammar) : undefined;
    if (match && by !== undefined) return { length: match[0].length, by };
  }
  return grammar.macro(query, at, context, before, scope);
}

interface Reference {
  name: string;
  /** What follows a dot: `${__dashboard.uid}`. */
  path: string | undefined;
  format: string | undefined;
}

function valueOf({ name, path, format }: Reference, context: Context, scope: Scope, grammar: Grammar): string | undefined {
  // The user's variables come first: a dashboard may well have one called "interval".
  const variable = Object.hasOwn(scope.variables, name) ? scope.variables[name] : undefined;
  if (variable && path === undefined) return writeVariable(name, variable, format ?? scope.format, context, grammar);
  if (name === '__dashboard' && scope.dashboard) return path === 'uid' ? scope.dashboard.uid : scope.dashboard.title;
  const value = path === undefined ? (grammar.builtIn(name, scope) ?? builtIn(name, scope)) : undefined;
  return value !== undefined && format ? writeAs(format, { name, values: [value], texts: [value], all: false }) : value;
}

/** What Grafana fills in for every data source. */
function builtIn(name: string, { range, intervalMs }: Scope): string | undefined {
  const [from, to] = [Math.round(range.from), Math.round(range.to)];
  switch (name) {
    case '__interval': return influxDuration(intervalMs);
    case '__interval_ms': return String(intervalMs);
    case '__from': return String(from);
    case '__to': return String(to);
    case '__range': return influxDuration(Math.max(1000, Math.round((to - from) / 1000) * 1000));
    case '__range_s': return String(Math.round((to - from) / 1000));
    case '__range_ms': return String(to - from);
    default: return undefined;
  }
}

function writeVariable(name: string, variable: VariableValue, format: string | undefined, context: Context, grammar: Grammar): string {
  const { values, texts = values, all = false, allValue, multi } = variable;
  if (all && allValue && format !== 'text') return allValue;
  if (format) return writeAs(format, { name, values, texts, all });
  if (context === 'regex') return values.length === 1 ? escapeRegex(values[0]!) : `(${values.map(escapeRegex).join('|')})`;
  const plain = (text: string) => text;
  const escape = { single: escapeSingle, double: escapeDouble, bare: plain, comment: plain, block: plain }[context];
  if (values.length === 1) return escape(values[0]!);
  return multi || all ? grammar.several(values.map(escape)) : values.map(escape).join(',');
}

/** Names of the variables that a text mentions, for asking only again what depends on a change. */
export function mentions(text: string, name: string): boolean {
  return new RegExp(`\\$${name}\\b|\\$\\{${name}[:.}]|\\[\\[${name}[:\\]]`).test(text);
}
