/** The words of InfluxQL, for colouring and completing. The server's parser alone decides what is right. */

export const KEYWORDS = [
  'SELECT', 'FROM', 'WHERE', 'GROUP BY', 'ORDER BY', 'LIMIT', 'OFFSET', 'SLIMIT', 'SOFFSET', 'AND', 'OR', 'AS', 'ASC', 'DESC',
  'INTO', 'ON', 'WITH KEY', 'WITH MEASUREMENT', 'IN', 'fill', 'tz', 'time', 'DEFAULT', 'DURATION', 'REPLICATION', 'SHARD DURATION',
  'NAME', 'true', 'false',
] as const; // prettier-ignore

export const STATEMENTS = [
  'SELECT', 'SHOW DATABASES', 'SHOW MEASUREMENTS', 'SHOW TAG KEYS', 'SHOW TAG VALUES', 'SHOW FIELD KEYS', 'SHOW SERIES',
  'SHOW RETENTION POLICIES', 'CREATE DATABASE', 'DROP DATABASE', 'CREATE RETENTION POLICY', 'ALTER RETENTION POLICY',
  'DROP RETENTION POLICY',
] as const; // prettier-ignore

export const FUNCTIONS: readonly { name: string; what: string }[] = [
  { name: 'mean', what: 'average' },
  { name: 'max', what: 'greatest value' },
  { name: 'min', what: 'smallest value' },
  { name: 'last', what: 'newest value' },
  { name: 'first', what: 'oldest value' },
  { name: 'sum', what: 'total' },
  { name: 'count', what: 'number of values' },
  { name: 'median', what: 'middle value' },
  { name: 'percentile', what: 'value at a percentage: percentile("x", 95)' },
  { name: 'stddev', what: 'standard deviation' },
  { name: 'spread', what: 'greatest minus smallest' },
  { name: 'distinct', what: 'different values' },
];

/** Every single word of keywords and statements, for colouring. */
export const WORDS: ReadonlySet<string> = new Set([...KEYWORDS, ...STATEMENTS].flatMap((phrase) => phrase.toLowerCase().split(' ')).concat(['by', 'show', 'create', 'drop', 'policy', 'key', 'keys', 'values', 'series', 'database', 'delete', 'explain', 'analyze']));

export const FUNCTION_NAMES: ReadonlySet<string> = new Set(FUNCTIONS.map(({ name }) => name));
