/** The two languages of queries, and which of them a text is in: nothing else in Grafana's dashboard files says so. */

export type Language = 'influxql' | 'flux';

export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { influxql: 'InfluxQL', flux: 'Flux' };

const COMMENTS = /^(?:\s+|\/\/.*|--.*|\/\*[^]*?\*\/)+/;
const INFLUXQL_BEGINS = /^(?:select|show|explain|create|drop|delete|alter|grant|revoke|kill|set)\s/i;
const FLUX_BEGINS = /^(?:package|import|option|builtin)\s|^@|^[A-Za-z_]\w*(?:\.\w+)*\s*(?:\(|=)/;

/** Their first words have nothing in common; what begins like neither is Flux when it pipes. */
export function languageOf(query: string): Language {
  const text = query.replace(COMMENTS, '');
  if (INFLUXQL_BEGINS.test(text)) return 'influxql';
  return FLUX_BEGINS.test(text) || text.includes('|>') ? 'flux' : 'influxql';
}
