/** Filters that a dashboard applies to every query: variables of type `adhoc`. */
import type { TargetTag, Variable } from './model';
import { condition } from './visualQuery';

/** Those of the URL (`key|operator|value`, one parameter each), else those the dashboard was saved with. */
export function filtersOf({ filters, baseFilters }: Variable, chosen: readonly string[] | undefined): TargetTag[] {
  const own = chosen ? chosen.flatMap(parsed) : (filters ?? []);
  return [...(baseFilters ?? []), ...own].filter(({ key, value }) => key !== '' && value !== undefined && value !== '');
}

function parsed(text: string): TargetTag[] {
  const [key = '', operator = '=', value = ''] = text.split('|').map((part) => part.replaceAll('__gfp__', '|'));
  return key === '' ? [] : [{ key, operator, value }];
}

export function describeFilter({ key, operator = '=', value = '' }: TargetTag): string {
  return `${key} ${operator} ${value}`;
}

const CLAUSE = /\bwhere\b|\bgroup\s+by\b|\border\s+by\b|\bs?limit\b|\bs?offset\b|\bfill\s*\(|\btz\s*\(/gi;

/** In front of the conditions of a text in InfluxQL, which go on as they are, or where they would stand. */
export function withFilters(text: string, filters: readonly TargetTag[]): string {
  if (filters.length === 0) return text;
  const conditions = filters.map(condition).join(' AND ');
  const bare = blanked(text);
  for (const match of bare.matchAll(CLAUSE)) {
    const [at, end] = [match.index, match.index + match[0].length];
    if (/^where$/i.test(match[0])) return `${text.slice(0, end)} ${conditions} AND${text.slice(end)}`;
    return `${text.slice(0, at)}WHERE ${conditions} ${text.slice(at)}`;
  }
  return `${text.trimEnd()} WHERE ${conditions}`;
}

/** The text with everything that is quoted or a comment blanked out, of the same length. */
function blanked(text: string): string {
  return text.replace(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|--.*|\/\*[^]*?\*\//g, (quoted) => ' '.repeat(quoted.length));
}
