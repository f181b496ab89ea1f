/** What there is to ask for: databases, measurements, fields and tags, fetched when needed and remembered for a while. */
import type { QueryClient } from '@tanstack/react-query';
import { influxQuery } from '../data/client';
import { valuesOf } from '../dashboard/variables';

const STALE_MS = 60_000;

export interface FieldInfo {
  name: string;
  type: string;
}

/** Looks things up for the editor. Answers are empty rather than errors: completion must never be in the way. */
export interface Schema {
  /** Databases, and the policies of the one in use as `database/policy`. */
  buckets(): Promise<string[]>;
  measurements(): Promise<string[]>;
  fields(measurement: string | undefined): Promise<FieldInfo[]>;
  tags(measurement: string | undefined): Promise<string[]>;
  tagValues(measurement: string | undefined, tag: string): Promise<string[]>;
}

export function schemaOf(queries: QueryClient, db: string): Schema {
  const ask = async (q: string) => {
    try {
      const answer = await queries.fetchQuery({
        queryKey: ['schema', db, q],
        queryFn: ({ signal }) => influxQuery({ q, db }, signal),
        staleTime: STALE_MS,
        retry: false,
      });
      return answer.results?.[0]?.series ?? [];
    } catch {
      return [];
    }
  };
  const from = (measurement: string | undefined) => (measurement ? ` FROM ${quoteIdent(measurement)}` : '');
  return {
    buckets: async () => {
      const policies = (await ask('SHOW RETENTION POLICIES')).flatMap(({ values }) => values ?? []);
      return [...valuesOf(await ask('SHOW DATABASES')), ...policies.map(([name]) => `${db}/${String(name)}`)];
    },
    measurements: async () => valuesOf(await ask('SHOW MEASUREMENTS')),
    tags: async (measurement) => valuesOf(await ask(`SHOW TAG KEYS${from(measurement)}`)),
    tagValues: async (measurement, tag) =>
      valuesOf(await ask(`SHOW TAG VALUES${from(measurement)} WITH KEY = ${quoteIdent(tag)} LIMIT 1000`)),
    fields: async (measurement) => {
      const rows = (await ask(`SHOW FIELD KEYS${from(measurement)}`)).flatMap(({ values }) => values ?? []);
      const types = new Map(rows.map((row) => [String(row[0]), String(row[1])]));
      return [...types].map(([name, type]) => ({ name, type }));
    },
  };
}

export async function fetchDatabases(signal?: AbortSignal): Promise<string[]> {
  const answer = await influxQuery({ q: 'SHOW DATABASES' }, signal);
  return valuesOf(answer.results?.[0]?.series ?? []);
}

export function quoteIdent(name: string): string {
  return `"${name.replace(/[\\"]/g, '\\$&')}"`;
}

export function quoteString(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
