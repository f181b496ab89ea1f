/** Talks to the console's own API. Every call can be cancelled; every failure is an `ApiError` with the server's words. */
import { type FluxAnswer, FluxFailure, FluxReader } from './annotatedCsv';
import { errorOf, type InfluxResponse } from './influx';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** A database that nobody has written to yet is an empty one: the page says so once, its panels need not. */
export function isMissingDatabase(error: unknown): boolean {
  return error instanceof ApiError && error.message.startsWith('database not found');
}

/** Neither the console nor the store behind it answered, so this says nothing about the query. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 502);
}

async function request(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError('The console does not answer. Is skywatch still running?', 0);
  }
}

async function body<T>(response: Response): Promise<T> {
  const text = await response.text();
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(plain(text) || statusText(response.status), response.status);
  }
}

/** Pages that a proxy makes of an error are for people who look at that page. */
function plain(text: string): string {
  return text.trimStart().startsWith('<') ? '' : text.trim();
}

function statusText(status: number): string {
  return status >= 502 && status <= 504 ? `The proxy in between reaches no console (HTTP ${status}). Is skywatch still running?` : `HTTP ${status}`;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, { signal: signal ?? null, headers: { accept: 'application/json' } });
  const value = await body<T & { error?: string }>(response);
  if (!response.ok) throw new ApiError(value?.error ?? `HTTP ${response.status}`, response.status);
  return value;
}

export interface QueryRequest {
  q: string;
  db?: string | undefined;
  /** Retention policy of measurements that name none. */
  rp?: string | undefined;
}

/** Times in milliseconds. Errors of the request or of any of its statements are thrown. */
export async function influxQuery({ q, db, rp }: QueryRequest, signal?: AbortSignal): Promise<InfluxResponse> {
  const form = new URLSearchParams({ q, epoch: 'ms' });
  if (db) form.set('db', db);
  if (rp) form.set('rp', rp);
  const response = await request('/api/query', { method: 'POST', body: form, signal: signal ?? null });
  const answer = await body<InfluxResponse>(response);
  const error = errorOf(answer);
  if (error !== undefined || !response.ok) {
    throw new ApiError(error ?? `HTTP ${response.status}`, response.status);
  }
  return answer;
}

/** The same query as CSV, for a download. */
export async function influxCsv({ q, db }: QueryRequest): Promise<string> {
  const form = new URLSearchParams({ q });
  if (db) form.set('db', db);
  return wholeText(await request('/api/query', { method: 'POST', body: form, headers: { accept: 'application/csv' } }));
}

function postJson(path: string, value: unknown, signal?: AbortSignal): Promise<Response> {
  return request(path, { method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json' }, signal: signal ?? null });
}

function postFlux(query: string, signal?: AbortSignal): Promise<Response> {
  const body = { query, type: 'flux', dialect: { annotations: ['datatype', 'group', 'default'], header: true, delimiter: ',' } };
  return postJson('/api/v2/query', body, signal);
}

/** Read as it arrives; when the page can show no more, the rest is not asked for. Failures inside the answer are thrown. */
export async function fluxQuery(query: string, signal?: AbortSignal): Promise<FluxAnswer> {
  const response = await postFlux(query, signal);
  if (!response.ok || !response.body) throw await refusal(response);
  const reader = new FluxReader();
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return reader.end();
      if (reader.push(value)) continue;
      await pieces.cancel();
      return reader.answer;
    }
  } catch (error) {
    await pieces.cancel().catch(() => undefined);
    if (error instanceof FluxFailure) throw new ApiError(error.message, response.status);
    if (signal?.aborted || error instanceof ApiError) throw error;
    throw new ApiError('The answer broke off. Is the store still running?', 0);
  }
}

export interface FluxProblem {
  line: number;
  column: number;
  message: string;
}

/** What is wrong with a query at first sight, without running it. */
export async function fluxAnalyze(query: string, signal?: AbortSignal): Promise<FluxProblem[]> {
  const response = await postJson('/api/v2/query/analyze', { query }, signal);
  if (!response.ok) throw await refusal(response);
  return (await body<{ errors?: FluxProblem[] }>(response)).errors ?? [];
}

/** The answer as it is, for a download. */
export async function fluxCsv(query: string): Promise<string> {
  return wholeText(await postFlux(query));
}

async function wholeText(response: Response): Promise<string> {
  if (!response.ok) throw await refusal(response);
  return response.text();
}

/** What a refused request says: `error` of 1.x and of the console, `message` of 2.x, or its text. */
async function refusal(response: Response): Promise<ApiError> {
  const said = await body<{ error?: string; message?: string }>(response);
  return new ApiError(said.message ?? said.error ?? `HTTP ${response.status}`, response.status);
}
