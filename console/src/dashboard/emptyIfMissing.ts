/** For queries of a database that may not exist yet: it has nothing, which is no failure. */
import { isMissingDatabase } from '../data/client';
import type { InfluxResponse } from '../data/influx';

export function emptyIfMissing(error: unknown): InfluxResponse {
  if (isMissingDatabase(error)) return { results: [] };
  throw error;
}
