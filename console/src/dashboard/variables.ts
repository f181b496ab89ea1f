/** Template variables: what they can be, what is chosen, what that stands for in a query. */
import { fluxQuery, influxQuery } from '../data/client';
import { firstStrings, fluxFrames } from '../data/flux';
import { languageOf } from '../data/language';
import { compareCells } from '../data/transform/tables';
import { influxDuration, parseDuration } from '../time/duration';
import { bucketMs } from '../time/interval';
import type { TimeRange } from '../time/range';
import { toRegex } from '../data/regex';
import { filtersOf } from './adhoc';
import { emptyIfMissing } from './emptyIfMissing';
import { interpolate, type Scope, type VariableValue } from './interpolate';
import type { TargetTag, Variable } from './model';

/** Grafana's own word for "everything", in files and URLs. */
export const ALL = '$__all';

export interface Option {
  value: string;
  text: string;
}

export interface ResolvedVariable {
  variable: Variable;
  options: Option[];
  /** Chosen values, `[ALL]` for all. */
  selected: string[];
  /** Ad hoc filters only. */
  filters?: TargetTag[];
  error?: string;
}

export interface ResolveContext {
  /** Choices of the URL by variable name. */
  chosen: Readonly<Record<string, readonly string[]>>;
  range: TimeRange;
  database: string;
}

/** In the order of the dashboard, because a variable's query may use those before it. */
export async function resolveVariables(
  variables: readonly Variable[], context: ResolveContext, signal?: AbortSignal,
): Promise<ResolvedVariable[]> { // prettier-ignore
  const resolved: ResolvedVariable[] = [];
  for (const variable of variables) {
    const known = Object.fromEntries(resolved.map((one) => [one.variable.name, valueOf(one)]));
    resolved.push(await resolveOne(variable, known, context, signal));
  }
  return resolved;
}

async function resolveOne(
  variable: Variable, known: Record<string, VariableValue>, context: ResolveContext, signal?: AbortSignal,
): Promise<ResolvedVariable> { // prettier-ignore
  const chosen = context.chosen[variable.name];
  if (variable.type === 'adhoc') return { variable, options: [], selected: [], filters: filtersOf(variable, chosen) };
  try {
    const options = await optionsOf(variable, known, context, signal);
    return { variable, options, selected: select(variable, options, chosen) };
  } catch (error) {
    if (signal?.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return { variable, options: [], selected: select(variable, [], chosen), error: message };
  }
}

async function optionsOf(
  variable: Variable, known: Record<string, VariableValue>, { range, database }: ResolveContext, signal?: AbortSignal,
): Promise<Option[]> { // prettier-ignore
  switch (variable.type) {
    case 'query': {
      const text = queryText(variable);
      if (text.trim() === '') return [];
      const fixed = Object.fromEntries(Object.entries(known).map(([name, value]) => [name, resolveAuto(value, 60_000, range)]));
      const values = await valuesFor(text, { range, intervalMs: 60_000, variables: fixed, bucket: database }, signal);
      const scope = { range, intervalMs: 0, variables: known, format: 'regex' };
      return sortOptions(filterOptions(values, interpolate(variable.regex ?? '', scope)), variable.sort ?? 0);
    }
    case 'custom': return variable.valuesFormat === 'json' ? jsonOptions(String(variable.query ?? '')) : customOptions(String(variable.query ?? ''));
    case 'interval': return intervalOptions(variable);
    case 'textbox':
    case 'constant': return [plain(String(variable.query ?? ''))];
    default: return [];
  }
}

async function valuesFor(text: string, scope: Scope, signal?: AbortSignal): Promise<string[]> {
  const language = languageOf(text);
  const q = interpolate(text, scope, language);
  if (language === 'flux') {
    const { tables } = await fluxQuery(q, signal).catch(emptyIfMissing({ tables: [] }));
    return firstStrings(fluxFrames(tables, ''));
  }
  const answer = await influxQuery({ q, db: scope.bucket }, signal).catch(emptyIfMissing({ results: [] }));
  return valuesOf(answer.results?.[0]?.series ?? []);
}

/** Grafana stores the query as text or, from newer editors, as an object. */
function queryText({ query, definition }: Variable): string {
  if (typeof query === 'string') return query;
  const inner = (query as { query?: unknown } | null | undefined)?.query;
  return typeof inner === 'string' ? inner : (definition ?? '');
}

function plain(value: string): Option {
  return { value, text: value };
}

/** SHOW TAG VALUES answers key and value; other answers are taken by their first column that is not time. */
export function valuesOf(series: readonly { columns: string[]; values?: unknown[][] }[]): string[] {
  const values = series.flatMap(({ columns, values: rows }) => {
    const isTagValues = columns.length === 2 && columns[0] === 'key' && columns[1] === 'value';
    const at = isTagValues || columns[0] === 'time' ? 1 : 0;
    return (rows ?? []).map((row) => row[at]).filter((value) => value !== null && value !== undefined).map(String);
  });
  return [...new Set(values)];
}

/** A regular expression with a group keeps what the group matched, one without keeps the whole value; groups may be called `text` and `value`. */
export function filterOptions(values: readonly string[], regex: string): Option[] {
  if (regex === '') return values.map(plain);
  const pattern = toRegex(regex);
  if (!pattern) throw new Error(`“${regex}” is not a regular expression`);
  const kept = new Map<string, Option>();
  for (const whole of values) {
    const match = pattern.exec(whole);
    if (!match) continue;
    const { value, text } = match.groups ?? {};
    const first = value ?? text ?? match[1] ?? whole;
    if (!kept.has(first)) kept.set(first, { value: first, text: text ?? first });
  }
  return [...kept.values()];
}

/** 0 none, 1 and 2 alphabetical, 3 and 4 numerical, 5 and 6 without case; even numbers are descending. */
export function sortOptions(options: Option[], sort: number): Option[] {
  if (sort === 0) return options;
  const direction = sort % 2 === 0 ? -1 : 1;
  return [...options].sort((a, b) => direction * compareCells(a.text, b.text));
}

/** `a, b, Shown : value`; a comma in a value is written `\,`. */
export function customOptions(query: string): Option[] {
  return query
    .split(/(?<!\\),/)
    .map((part) => part.replaceAll('\\,', ',').trim())
    .filter(Boolean)
    .map((part) => {
      const split = / : /.exec(part);
      return split ? { text: part.slice(0, split.index), value: part.slice(split.index + 3) } : plain(part);
    });
}

/** `["a", {"text": "Shown", "value": "b"}]`. */
export function jsonOptions(query: string): Option[] {
  const list = JSON.parse(query) as unknown;
  if (!Array.isArray(list)) throw new Error('The values are not a list in JSON');
  return list.map((one: unknown) => {
    if (typeof one !== 'object' || one === null) return plain(String(one));
    const { text, value } = one as { text?: unknown; value?: unknown };
    return { value: String(value ?? text ?? ''), text: String(text ?? value ?? '') };
  });
}

/** The automatic choice goes first, under the value that Grafana stores. */
export function intervalOptions({ name, query, auto }: Variable): Option[] {
  const listed = String(query ?? '').split(',').map((text) => plain(text.trim())).filter(({ value }) => value !== ''); // prettier-ignore
  return auto ? [{ value: `$__auto_interval_${name}`, text: 'auto' }, ...listed] : listed;
}

/** The URL first, then what the dashboard was saved with, then all, then the first. */
export function select(variable: Variable, options: readonly Option[], chosen: readonly string[] | undefined): string[] {
  const known = (text: string) => meant(variable, options, text);
  if (chosen && chosen.length > 0) return (variable.multi ? chosen : [chosen[0]!]).map((text) => known(text) ?? text);
  const saved = [variable.current?.value].flat().filter((value) => typeof value === 'string' && value !== '') as string[];
  // What was typed is among no options.
  if (variable.type === 'textbox' && saved.length > 0) return saved;
  const usable = saved.flatMap((value) => known(value) ?? []);
  if (usable.length > 0) return usable;
  if (variable.includeAll) return [ALL];
  return options[0] ? [options[0].value] : saved;
}

/** URLs may have what is shown in the place of the value: `var-host=All`. Grafana has had two names for the automatic interval. */
function meant({ includeAll }: Variable, options: readonly Option[], text: string): string | undefined {
  if (text === ALL || options.some(({ value }) => value === text)) return text;
  if (includeAll && text === 'All') return ALL;
  const auto = isAuto(text) ? options.find(({ value }) => isAuto(value)) : undefined;
  return (auto ?? options.find((option) => option.text === text))?.value;
}

const AUTO_COUNT = 30;
const AUTO_MIN_MS = 10_000;

export function valueOf({ variable, options, selected, filters }: ResolvedVariable): VariableValue {
  const all = selected.includes(ALL);
  const values = all ? options.map(({ value }) => value) : selected;
  const texts = values.map((value) => options.find((option) => option.value === value)?.text ?? value);
  return {
    values: values.length > 0 ? values : [''],
    all,
    allValue: variable.allValue || undefined,
    multi: variable.multi ?? false,
    ...(texts.some((text, i) => text !== values[i]) ? { texts } : {}),
    ...(variable.auto ? { auto: { count: Number(variable.auto_count) || AUTO_COUNT, minMs: parseDuration(variable.auto_min ?? '') ?? AUTO_MIN_MS } } : {}),
    ...(filters ? { filters } : {}),
  };
}

/** The automatic choice of an interval variable: so many steps in the range, or else the panel's own bucket width. */
export function resolveAuto(value: VariableValue, intervalMs: number, range: TimeRange): VariableValue {
  if (!isAuto(value.values[0])) return value;
  const width = value.auto ? bucketMs(range.to - range.from, value.auto.count, value.auto.minMs) : intervalMs;
  return { ...value, values: [influxDuration(width)] };
}

function isAuto(value: string | undefined): boolean {
  return value !== undefined && /^(?:auto|\$__auto(?:_interval_\w+)?)$/.test(value);
}

/** Shown on the variable's button. */
export function describeSelection({ options, selected }: ResolvedVariable): string {
  if (selected.includes(ALL)) return 'All';
  const texts = selected.map((value) => options.find((option) => option.value === value)?.text ?? value);
  if (texts.length === 0) return 'None';
  return texts.length > 2 ? `${texts.length} of ${options.length}` : texts.join(', ');
}

/** A choice of nothing but "All" is no choice: hosts without a rack need no rack picker. */
export function isShown({ variable: { hide, type }, options, filters, error }: ResolvedVariable): boolean {
  if (type === 'adhoc') return hide !== 2 && (filters?.length ?? 0) > 0;
  if (hide === 2 || !['query', 'custom', 'interval', 'textbox'].includes(type)) return false;
  return type === 'textbox' || options.length > 0 || error !== undefined;
}

/** The bucket width of a panel: its own minimum, in words, or none. */
export function minInterval(text: string | undefined): number | undefined {
  return text ? parseDuration(text.replace(/^[>\s]+/, '')) : undefined;
}
