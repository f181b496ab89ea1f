/** InfluxQL out of what Grafana's visual editor stores in a target: `select`, `groupBy`, `tags` and the rest. */
import { languageOf } from '../data/language';
import type { QueryPart, Target, TargetTag } from './model';

/** What a target asks, before variables are filled in: its own text, or what its editor's parts say. */
export function queryOf(target: Target): string {
  const text = target.query ?? '';
  if (!isVisual(target)) return text;
  return target.measurement ? buildQuery(target) : '';
}

/**
 * Grafana keeps the last text beside the parts of the editor and `rawQuery` tells which of them counts. A text in Flux is
 * of a data source that has no editor, and a hand-written target has nothing but its text.
 */
function isVisual({ query = '', rawQuery, measurement, select }: Target): boolean {
  if (query.trim() !== '' && languageOf(query) === 'flux') return false;
  if (rawQuery) return query.trim() === '';
  return rawQuery === false || measurement !== undefined || select !== undefined;
}

const SELECT: QueryPart[][] = [[{ type: 'field', params: ['value'] }, { type: 'mean' }]];
const GROUP_BY: QueryPart[] = [{ type: 'time', params: ['$__interval'] }, { type: 'fill', params: ['null'] }];

export function buildQuery(target: Target): string {
  const { measurement = '', policy, select = SELECT, tags = [], groupBy = GROUP_BY, orderByTime, limit, slimit, tz } = target;
  const columns = select.map((chain) => chain.reduce(rendered, '')).join(', ');
  const from = `${policy && policy !== 'default' ? `"${policy}".` : ''}${/^\/.*\/$/.test(measurement) ? measurement : `"${measurement}"`}`;
  const conditions = tags.map((tag, i) => `${i > 0 ? `${tag.condition || 'AND'} ` : ''}${condition(tag)}`).join(' ');
  const where = tags.length > 1 ? `(${conditions}) AND ` : tags.length === 1 ? `${conditions} AND ` : '';
  return [
    `SELECT ${columns} FROM ${from} WHERE ${where}$timeFilter`,
    ...groups(groupBy),
    ...(orderByTime ? [`ORDER BY time ${orderByTime}`] : []),
    ...(given(limit) ? [`limit ${limit}`] : []),
    ...(given(slimit) ? [`slimit ${slimit}`] : []),
    ...(tz ? [`tz('${tz}')`] : []),
  ].join(' ');
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null && String(value).trim() !== '';
}

/** A part around what stands before it in its chain: `mean` of `"usage"`, ` * 8` behind it, `AS "x"` behind that. */
function rendered(inner: string, { type, params = [] }: QueryPart): string {
  const [first = ''] = params.map(String);
  switch (type) {
    case 'field':
    case 'tag': return key(first);
    case 'math': return `${inner}${first}`;
    case 'alias': return `${inner} AS "${first}"`;
    default: {
      const given = params.map((param) => (type === 'time' && param === 'auto' ? '$__interval' : String(param)));
      return `${type}(${[...(inner ? [inner] : []), ...given].join(', ')})`;
    }
  }
}

/** `fill` follows what is grouped by without a comma. */
function groups(parts: readonly QueryPart[]): string[] {
  const by = parts.filter(({ type }) => type !== 'fill').map((part) => rendered('', part));
  const fill = parts.filter(({ type }) => type === 'fill').map((part) => rendered('', part));
  return by.length > 0 ? [`GROUP BY ${by.join(', ')}`, ...fill] : [];
}

/** Quoted, but for what says of which kind it is: `"host"::tag`. */
function key(name: string): string {
  if (name === '*') return name;
  const kind = /::(?:tag|field)$/.exec(name)?.[0] ?? '';
  return `"${name.slice(0, name.length - kind.length)}"${kind}`;
}

const OPERATORS: Readonly<Record<string, string>> = { Is: '=', 'Is Not': '!=' };

/** One condition: `"host" = 'a'`. */
export function condition({ key: name, operator, value = '' }: TargetTag): string {
  const chosen = operator || (/^\/.*\/$/.test(value) ? '=~' : '=');
  return `${key(name)} ${OPERATORS[chosen] ?? chosen} ${operand(name, chosen, value)}`;
}

function operand(name: string, operator: string, value: string): string {
  const bare = value.toLowerCase();
  if (/^(?:=~|!~|[<>]=?)$/.test(operator)) return value;
  if (Object.hasOwn(OPERATORS, operator) && !name.endsWith('::tag')) {
    if (bare === 'true' || bare === 'false') return bare;
    if (/^-?[\d.]+$/.test(value)) return value;
  }
  return `'${value.replace(/[\\']/g, '\\$&')}'`;
}
