import { afterEach, expect, test, vi } from 'vitest';
import { getJson } from './client';

afterEach(() => vi.unstubAllGlobals());

const answers = (status: number, text: string) => vi.stubGlobal('fetch', () => Promise.resolve(new Response(text, { status })));

test.each([
  [502, '', /reaches no console \(HTTP 502\)/],
  [503, '<html><body><h1>503 Service Unavailable</h1>', /reaches no console \(HTTP 503\)/],
  [500, 'the disk is full', /^the disk is full$/],
  [422, '{"error":"not JSON"}', /^not JSON$/],
])('an answer of %i says what went wrong', async (status, text, said) => {
  answers(status, text);
  await expect(getJson('/api/info')).rejects.toThrow(said);
});

test('no answer at all asks for the server', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
  await expect(getJson('/api/info')).rejects.toThrow('Is skywatch still running?');
});
