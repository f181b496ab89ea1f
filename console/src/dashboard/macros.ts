/** What is filled into a query by its language: InfluxQL's `$timeFilter`, Flux's `v.timeRangeStart`, and where strings end. */
import { influxDuration } from '../time/duration';
import type { Context, Scope } from './interpolate';

export interface Grammar {
  /** The context after the character at a place. */
  nextContext(context: Context, query: string, at: number): Context;
  /** A `$name` of this language alone. */
  builtIn(name: string, scope: Scope): string | undefined;
  /** A macro at a place that does not begin with a dollar sign. */
  macro(query: string, at: number, context: Context, before: string, scope: Scope): { length: number; by: string } | undefined;
  /** Several values outside of regular expressions. */
  several(values: readonly string[]): string;
}

export const influxql: Grammar = {
  nextContext(context, query, at) {
    const char = query[at]!;
    switch (context) {
      case 'single': return char === "'" ? 'bare' : context;
      case 'double': return char === '"' ? 'bare' : context;
      case 'regex': return char === '/' ? 'bare' : context;
      case 'comment': return char === '\n' ? 'bare' : context;
      case 'block': return char === '/' && query[at - 1] === '*' && query[at - 2] !== '/' ? 'bare' : context;
      case 'bare':
        if (char === '-' && query[at + 1] === '-') return 'comment';
        if (char === '/' && query[at + 1] === '*') return 'block';
        if (char === "'") return 'single';
        if (char === '"') return 'double';
        // A slash is a division unless a regular expression may stand here.
        return char === '/' && /(?:[=!]~|\b(?:from|measurement|,))\s*$|[(,]\s*$/i.test(query.slice(0, at)) ? 'regex' : context;
    }
  },
  builtIn(name, scope) {
    const [from, to] = [Math.round(scope.range.from), Math.round(scope.range.to)];
    switch (name) {
      case 'timeFilter':
      case '__timeFilter': return `time >= ${from}ms and time <= ${to}ms`;
      case 'interval': return influxDuration(scope.intervalMs);
      default: return undefined;
    }
  },
  macro: () => undefined,
  several: (values) => `(${values.join('|')})`,
};

const MACRO = /^v\.(\w+)/;

export function glob(values: readonly string[]): string {
  return `{${values.join(',')}}`;
}

export const flux: Grammar = {
  nextContext(context, query, at) {
    const char = query[at]!;
    switch (context) {
      case 'double': return char === '"' ? 'bare' : context;
      case 'regex': return char === '/' ? 'bare' : context;
      case 'comment': return char === '\n' ? 'bare' : context;
      case 'single':
      case 'block':
      case 'bare':
        if (char === '"') return 'double';
        if (char !== '/') return 'bare';
        if (query[at + 1] === '/') return 'comment';
        return /(?:[=!]~|[(,:=])\s*$/.test(query.slice(0, at)) ? 'regex' : 'bare';
    }
  },
  builtIn: () => undefined,
  macro(query, at, context, before, scope) {
    // In a string only what is computed: "${v.bucket}".
    const isCode = context === 'bare' || (context === 'double' && /\$\{\s*$/.test(before));
    if (!isCode || query[at] !== 'v' || /[\w.]$/.test(before)) return undefined;
    const match = MACRO.exec(query.slice(at, at + 40));
    const by = match ? fluxMacro(match[1]!, scope) : undefined;
    return match && by !== undefined ? { length: match[0].length, by } : undefined;
  },
  several: glob,
};

function fluxMacro(name: string, { range, intervalMs, bucket = '' }: Scope): string | undefined {
  switch (name) {
    case 'timeRangeStart': return fluxTime(range.from);
    case 'timeRangeStop': return fluxTime(range.to);
    case 'windowPeriod': return influxDuration(intervalMs);
    case 'bucket':
    case 'defaultBucket': return quoteFlux(bucket);
    // Skywatch has none and looks at none.
    case 'organization': return '"-"';
    default: return undefined;
  }
}

export function fluxTime(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}

export function quoteFlux(text: string): string {
  return `"${text.replace(/[\\"]|\$(?=\{)/g, '\\$&')}"`;
}
