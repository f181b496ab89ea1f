/** Talks to the console's own API. Every call can be cancelled; every failure is an `ApiError` with the server's words. */
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
    throw new ApiError(text.trim() || `HTTP ${response.status}`, response.status);
  }
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
}

/** Times in milliseconds. Errors of the request or of any of its statements are thrown. */
export async function influxQuery({ q, db }: QueryRequest, signal?: AbortSignal): Promise<InfluxResponse> {
  const form = new URLSearchParams({ q, epoch: 'ms' });
  if (db) form.set('db', db);
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
  const response = await request('/api/query', { method: 'POST', body: form, headers: { accept: 'application/csv' } });
  const text = await response.text();
  if (!response.ok) throw new ApiError(text.trim(), response.status);
  return text;
}
