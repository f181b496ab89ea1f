/** Variables and macros in a query: `$host`, `${host:csv}`, `[[host]]`, `$timeFilter`, `$__interval`. */
import { influxDuration } from '../time/duration';
import type { TimeRange } from '../time/range';

/** What a variable stands for at the moment. */
export interface VariableValue {
  values: readonly string[];
  /** "All" is chosen; `allValue` is then inserted as it is, else every value. */
  all?: boolean;
  allValue?: string | undefined;
  multi?: boolean;
}

export interface Scope {
  range: TimeRange;
  intervalMs: number;
  variables: Readonly<Record<string, VariableValue>>;
}

/** Where in the query a variable stands: it decides what has to be escaped. */
type Context = 'bare' | 'single' | 'double' | 'regex';

const REFERENCE = /^(?:\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)\]\])/;

export function interpolate(query: string, scope: Scope): string {
  let out = '';
  let context: Context = 'bare';
  for (let at = 0; at < query.length; ) {
    const char = query[at]!;
    if (char === '$' || char === '[') {
      const match = REFERENCE.exec(query.slice(at, at + 200));
      const name = match?.[1] ?? match?.[2] ?? match?.[4];
      const value = match && name ? valueOf(name, match[3], context, scope) : undefined;
      if (match && value !== undefined) {
        out += value;
        at += match[0].length;
        continue;
      }
    }
    if (char === '\\' && context !== 'bare') {
      out += query.slice(at, at + 2);
      at += 2;
      continue;
    }
    context = nextContext(context, char, out);
    out += char;
    at += 1;
  }
  return out;
}

function nextContext(context: Context, char: string, before: string): Context {
  switch (context) {
    case 'single': return char === "'" ? 'bare' : context;
    case 'double': return char === '"' ? 'bare' : context;
    case 'regex': return char === '/' ? 'bare' : context;
    case 'bare':
      if (char === "'") return 'single';
      if (char === '"') return 'double';
      // A slash is a division unless a regular expression may stand here.
      return char === '/' && /(?:[=!]~|\b(?:from|measurement|,))\s*$|[(,]\s*$/i.test(before) ? 'regex' : context;
  }
}

function valueOf(name: string, format: string | undefined, context: Context, scope: Scope): string | undefined {
  // The user's variables come first: a dashboard may well have one called "interval".
  const variable = Object.hasOwn(scope.variables, name) ? scope.variables[name] : undefined;
  return variable ? writeVariable(variable, format, context) : builtIn(name, scope);
}

function builtIn(name: string, { range, intervalMs }: Scope): string | undefined {
  const [from, to] = [Math.round(range.from), Math.round(range.to)];
  switch (name) {
    case 'timeFilter':
    case '__timeFilter': return `time >= ${from}ms and time <= ${to}ms`;
    case 'interval':
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

function writeVariable(variable: VariableValue, format: string | undefined, context: Context): string {
  const { values, all, allValue, multi } = variable;
  if (all && allValue) return allValue;
  if (format) return writeAs(format, values);
  if (context === 'regex') return values.length === 1 ? escapeRegex(values[0]!) : `(${values.map(escapeRegex).join('|')})`;
  const escape = { single: escapeSingle, double: escapeDouble, bare: (text: string) => text }[context];
  if (values.length === 1) return escape(values[0]!);
  return multi || all ? `(${values.map(escape).join('|')})` : values.map(escape).join(',');
}

function writeAs(format: string, values: readonly string[]): string {
  switch (format) {
    case 'csv':
    case 'raw':
    case 'text': return values.join(',');
    case 'pipe': return values.join('|');
    case 'regex': return values.length === 1 ? escapeRegex(values[0]!) : `(${values.map(escapeRegex).join('|')})`;
    case 'glob': return values.length === 1 ? values[0]! : `{${values.join(',')}}`;
    case 'json': return JSON.stringify(values);
    case 'singlequote': return values.map((value) => `'${escapeSingle(value)}'`).join(',');
    case 'doublequote': return values.map((value) => `"${escapeDouble(value)}"`).join(',');
    case 'percentencode': return encodeURIComponent(values.join(','));
    default: return values.join(',');
  }
}

/** The slash too, because it ends InfluxQL's regular expressions. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function escapeSingle(text: string): string {
  return text.replace(/[\\']/g, '\\$&');
}

function escapeDouble(text: string): string {
  return text.replace(/[\\"]/g, '\\$&');
}

/** Names of the variables that a text mentions, for asking only again what depends on a change. */
export function mentions(text: string, name: string): boolean {
  return new RegExp(`\\$${name}\\b|\\$\\{${name}[:}]|\\[\\[${name}\\]\\]`).test(text);
}
