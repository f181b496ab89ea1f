/** How a variable's values are written: `${host:csv}`, `${host:sqlstring}`, `${__from:date:iso}`. */
import { formatDate } from '../format/dateFormat';

export interface Formatted {
  name: string;
  values: readonly string[];
  texts: readonly string[];
  all: boolean;
}

/** An unknown format is that of a list, as in Grafana. */
export function writeAs(format: string, { name, values, texts, all }: Formatted): string {
  const [id, ...rest] = format.split(':');
  const one = values.length === 1 ? values[0]! : undefined;
  switch (id) {
    case 'text': return all ? 'All' : texts.join(' + ');
    case 'pipe': return values.join('|');
    case 'regex': return one !== undefined ? escapeRegex(one) : `(${values.map(escapeRegex).join('|')})`;
    case 'glob': return one ?? glob(values);
    case 'json': return JSON.stringify(values);
    case 'singlequote': return values.map((value) => `'${escapeSingle(value)}'`).join(',');
    case 'doublequote': return values.map((value) => `"${escapeDouble(value)}"`).join(',');
    case 'sqlstring': return values.map((value) => `'${value.replaceAll("'", "''")}'`).join(',');
    case 'lucene': return one !== undefined ? escapeLucene(one) : `(${values.map((value) => `"${escapeLucene(value)}"`).join(' OR ')})`;
    case 'distributed': return values.map((value, i) => (i === 0 ? value : `${name}=${value}`)).join(',');
    case 'queryparam': return (all ? ['$__all'] : values).map((value) => `var-${name}=${encode(value).replaceAll('%24', '$')}`).join('&');
    case 'percentencode': return encode(values.join(','));
    case 'join': return values.join(rest.join(':') || ',');
    case 'date': return writeDate(Number(one), rest.join(':'));
    default: return values.join(',');
  }
}

function writeDate(ms: number, pattern: string): string {
  if (Number.isNaN(ms)) return 'NaN';
  if (pattern === '' || pattern === 'iso') return new Date(ms).toISOString();
  return pattern === 'seconds' ? String(Math.round(ms / 1000)) : formatDate(ms, pattern);
}

function glob(values: readonly string[]): string {
  return `{${values.join(',')}}`;
}

/** The slash too, because it ends InfluxQL's regular expressions. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

export function escapeSingle(text: string): string {
  return text.replace(/[\\']/g, '\\$&');
}

export function escapeDouble(text: string): string {
  return text.replace(/[\\"]/g, '\\$&');
}

function escapeLucene(text: string): string {
  return text.replace(/[!*+\-=<>\s&|()[\]{}^~?:\\/"]/g, '\\$&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
